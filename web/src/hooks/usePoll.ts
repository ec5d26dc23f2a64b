import { useCallback, useEffect, useRef, useState } from "react";
import { type Trouble, toTrouble } from "../api/problem";

export interface Polled<T> {
  /** The last good answer; it stays while later ones fail. */
  data: T | null;
  /** Why the last try failed. */
  trouble: Trouble | null;
  /** When the last good answer came, in milliseconds since 1970. */
  at: number | null;
  refresh(): void;
}

/**
 * Calls `load` now and `every` milliseconds after each answer, while the page is visible and `active`.
 * `load` must be stable (useCallback): another one starts anew.
 */
export function usePoll<T>(
  load: (signal: AbortSignal) => Promise<T>,
  every: number,
  options: { active?: boolean; onError?: (error: unknown) => void } = {},
): Polled<T> {
  const { active = true, onError } = options;
  const [data, setData] = useState<T | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [at, setAt] = useState<number | null>(null);
  const [turn, setTurn] = useState(0);
  const tell = useRef(onError);
  useEffect(() => {
    tell.current = onError;
  });

  useEffect(() => {
    if (!active) return undefined;
    const gone = new AbortController();
    let timer: ReturnType<typeof setTimeout> | undefined;
    let busy = false;
    const run = async (): Promise<void> => {
      if (busy || document.hidden) return;
      clearTimeout(timer);
      busy = true;
      try {
        const answer = await load(gone.signal);
        if (gone.signal.aborted) return;
        setData(answer);
        setAt(Date.now());
        setTrouble(null);
      } catch (error) {
        if (gone.signal.aborted) return;
        setTrouble(toTrouble(error));
        tell.current?.(error);
      } finally {
        busy = false;
      }
      timer = setTimeout(() => void run(), every);
    };
    const seen = (): void => void run();
    document.addEventListener("visibilitychange", seen);
    void run();
    return () => {
      gone.abort();
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    };
  }, [load, every, active, turn]);

  const refresh = useCallback(() => setTurn((count) => count + 1), []);
  return { data, trouble, at, refresh };
}
