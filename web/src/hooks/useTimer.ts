import { useEffect, useState } from "react";

/** Seconds below which a countdown shows seconds; above, minutes are enough and calmer. */
export const FINE = 120;
/** Longest pause of a timer, in milliseconds: a machine that slept is told the right time soon after. */
const LONGEST = 30_000;

export interface Countdown {
  /** Seconds left, in steps of a minute above {@link FINE}; never below 0. */
  left: number;
  over: boolean;
}

/** Counts down to a moment in UNIX seconds of this machine's clock; null stands still at 0. */
export function useTimer(until: number | null): Countdown {
  const [now, setNow] = useState(() => Date.now() / 1000);
  const left = until === null ? 0 : Math.max(0, until - now);
  useEffect(() => {
    if (until === null) return undefined;
    let timer: ReturnType<typeof setTimeout>;
    const tick = (): void => {
      const time = Date.now() / 1000;
      setNow(time);
      const rest = until - time;
      if (rest > 0) timer = setTimeout(tick, Math.min(LONGEST, next(rest)));
    };
    // At once: this may be another moment than before, and timers rest while a page is hidden.
    tick();
    const seen = (): void => {
      clearTimeout(timer);
      tick();
    };
    document.addEventListener("visibilitychange", seen);
    return () => {
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [until]);
  return { left: left > FINE ? left - (left % 60) : Math.ceil(left), over: until !== null && left <= 0 };
}

/** Milliseconds until what is shown changes. */
function next(rest: number): number {
  const step = rest > FINE ? 60 : 1;
  return (rest % step || step) * 1000 + 5;
}
