import type { ReactNode } from "react";

export type Tone = "good" | "bad" | "warn" | "plain";

/** Drawn, not written: not every font has these signs. */
const marks: Record<Tone, string> = {
  good: "M2 6.5 4.8 9.2 10 3",
  bad: "M2.5 2.5l7 7M9.5 2.5l-7 7",
  warn: "M6 2v4.5M6 9.6v.1",
  plain: "M2.5 6h7",
};

/** A state in a word; the mark tells it without colour. */
export function Pill({ tone, children }: { tone: Tone; children: ReactNode }): ReactNode {
  return (
    <span className={`pill ${tone}`}>
      <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
        <path d={marks[tone]} />
      </svg>
      {children}
    </span>
  );
}
