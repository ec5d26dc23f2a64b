import type { ReactNode } from "react";
import type { Trouble } from "../api/problem";

/** What went wrong, why, and what to do; read out at once. */
export function TroubleNotice({ trouble, children }: { trouble: Trouble; children?: ReactNode }): ReactNode {
  return (
    <div className="notice bad" role="alert">
      <p>
        <strong>{trouble.what}</strong> {trouble.why}
      </p>
      {trouble.todo ? <p>{trouble.todo}</p> : null}
      {children}
    </div>
  );
}

export function Note({ tone, children }: { tone: "good" | "warn" | "plain"; children: ReactNode }): ReactNode {
  return (
    <div className={`notice ${tone}`} role="status">
      {children}
    </div>
  );
}
