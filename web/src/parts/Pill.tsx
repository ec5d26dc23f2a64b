import type { ReactNode } from "react";

export type Tone = "good" | "bad" | "warn" | "plain";

const marks: Record<Tone, string> = { good: "✓", bad: "✗", warn: "…", plain: "–" };

/** A state in a word; the mark tells it without colour. */
export function Pill({ tone, children }: { tone: Tone; children: ReactNode }): ReactNode {
  return (
    <span className={`pill ${tone}`}>
      <span aria-hidden="true">{marks[tone]}</span> {children}
    </span>
  );
}
