import type { ReactNode } from "react";
import { useNow } from "../hooks/useNow";
import { span } from "./time";

/** How long something still holds, counted down.  `at` in UNIX seconds, 0 for no end. */
export function Expiry({ at }: { at: number }): ReactNode {
  const now = useNow();
  if (at === 0) return <>no end</>;
  const date = new Date(at * 1000);
  return (
    <time dateTime={date.toISOString()} title={date.toLocaleString()} className={at - now < 300 ? "soon" : undefined}>
      {at <= now ? "has ended" : `ends in ${span(at - now)}`}
    </time>
  );
}
