import { useCallback, useEffect, useRef, useState } from "react";
import { Problem, type Trouble, explain, toTrouble } from "../../api/problem";
import { type SocketState, useWebSocket } from "../../hooks/useWebSocket";
import { type LeaseClient, json } from "../../leases/client";
import { type LogLine, logLine, logRefused } from "../../leases/schemas";

/** Lines that are kept; older ones make room. */
export const KEPT = 2_000;
/** Milliseconds that lines are gathered before they are shown: a thousand a second are no thousand renderings. */
const GATHER = 80;

export interface Logs {
  lines: readonly LogLine[];
  /** Lines that were shown, and made room. */
  dropped: number;
  state: SocketState;
  /** The log is complete. */
  ended: boolean;
  /** Why it is not followed any more. */
  trouble: Trouble | null;
  clear(): void;
}

interface Shown {
  lines: readonly LogLine[];
  dropped: number;
}

const nothing: Shown = { lines: [], dropped: 0 };

/** What is said of these does not change by trying again. */
const FINAL = [401, 403, 404];

/** The log of a container of a lease, followed; after a break it goes on behind the last line that came, so none is lost or doubled. */
export function useLogs(client: LeaseClient, id: string, role: string): Logs {
  const [shown, setShown] = useState<Shown>(nothing);
  const [ended, setEnded] = useState(false);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const cursor = useRef<string | null>(null);
  const over = useRef(false);
  const last = useRef("");
  const waiting = useRef<LogLine[]>([]);
  const timer = useRef<ReturnType<typeof setTimeout> | undefined>(undefined);

  const flush = useCallback(() => {
    timer.current = undefined;
    const fresh = waiting.current;
    waiting.current = [];
    setShown((before) => {
      const all = [...before.lines, ...fresh];
      const excess = Math.max(0, all.length - KEPT);
      return { lines: excess ? all.slice(excess) : all, dropped: before.dropped + excess };
    });
  }, []);
  useEffect(() => () => clearTimeout(timer.current), []);

  const state = useWebSocket(`${id} ${role}`, {
    target: () => (over.current ? null : client.logs(id, role, cursor.current)),
    onMessage: (text) => {
      const said = json(text);
      const refused = logRefused.safeParse(said);
      if (refused.success && FINAL.includes(refused.data.status)) {
        const { status, reason, detail, title } = refused.data;
        over.current = true;
        setTrouble(explain(status, reason ?? `status-${status}`, detail ?? title));
      }
      const parsed = logLine.safeParse(said);
      if (!parsed.success) return;
      const line = parsed.data;
      cursor.current = line.cursor;
      // A gap has the cursor of the line before it, so it comes again when the connection breaks just then.
      const name = `${line.type} ${line.cursor}`;
      if (name === last.current) return;
      last.current = name;
      if (line.type === "end") {
        over.current = true;
        setEnded(true);
      }
      waiting.current.push(line);
      timer.current ??= setTimeout(flush, GATHER);
    },
    onRefused: async () => {
      // A browser does not say why a WebSocket was refused; the lease itself does.
      try {
        await client.show(id);
        return true;
      } catch (error) {
        const final = error instanceof Problem && FINAL.includes(error.status);
        if (final) setTrouble(toTrouble(error));
        return !final;
      }
    },
  });

  const clear = useCallback(() => setShown(nothing), []);
  return { ...shown, state, ended, trouble, clear };
}
