import { useEffect, useRef, useState } from "react";
import { backoff } from "./backoff";

export type SocketState = "connecting" | "open" | "waiting" | "closed";

export interface SocketOptions {
  /** Where to connect, asked anew before each try; null: nowhere any more. */
  target: () => { url: string; protocols: string[] } | null;
  onMessage: (text: string) => void;
  /** After a connection that was never opened, the n-th in a row; false: do not try again. */
  onRefused?: (attempt: number) => boolean | Promise<boolean>;
}

/** Stays open for so long (milliseconds) before the next failure counts as the first again. */
const SETTLED = 5_000;

/**
 * A WebSocket that comes back by itself, with growing pauses; at once when the machine is online again.
 * `name` says what it is for: another one connects anew.
 */
export function useWebSocket(name: string, options: SocketOptions): SocketState {
  const [state, setState] = useState<SocketState>("connecting");
  const latest = useRef(options);
  useEffect(() => {
    latest.current = options;
  });

  useEffect(() => {
    let gone = false;
    let socket: WebSocket | null = null;
    let timer: ReturnType<typeof setTimeout> | undefined;
    let attempt = 0;
    let refusals = 0;

    const connect = (): void => {
      clearTimeout(timer);
      const target = latest.current.target();
      if (target === null) return setState("closed");
      setState("connecting");
      const made = new WebSocket(target.url, target.protocols);
      socket = made;
      let since: number | null = null;
      made.addEventListener("open", () => {
        since = Date.now();
        refusals = 0;
        setState("open");
      });
      made.addEventListener("message", (event: MessageEvent<unknown>) => {
        if (!gone && typeof event.data === "string") latest.current.onMessage(event.data);
      });
      made.addEventListener("close", () => {
        if (gone || socket !== made) return;
        socket = null;
        if (since !== null && Date.now() - since > SETTLED) attempt = 0;
        void again(since !== null);
      });
    };
    const again = async (opened: boolean): Promise<void> => {
      attempt += 1;
      setState("waiting");
      if (!opened) {
        refusals += 1;
        const on = await (latest.current.onRefused?.(refusals) ?? true);
        if (gone) return;
        if (!on) return setState("closed");
      }
      if (latest.current.target() === null) return setState("closed");
      timer = setTimeout(connect, backoff(attempt));
    };
    const online = (): void => {
      if (socket === null && !gone) connect();
    };

    window.addEventListener("online", online);
    connect();
    return () => {
      gone = true;
      clearTimeout(timer);
      window.removeEventListener("online", online);
      socket?.close(1000);
    };
  }, [name]);
  return state;
}
