import { useCallback, useEffect, useMemo, useReducer, useRef, useState } from "react";
import { Problem, type Trouble, toTrouble } from "../../api/problem";
import { backoff } from "../../hooks/backoff";
import { usePoll } from "../../hooks/usePoll";
import type { LeaseClient } from "../../leases/client";
import type { Lease, LeaseEvent } from "../../leases/schemas";
import { pause } from "../../parts/pause";
import { isOver, learn, nothing, sorted } from "./known";

/** Milliseconds between whole lists: they bring what each lease uses, and audit the events; without events, more often. */
const LIST_EVERY = 10_000;
const LIST_EVERY_ALONE = 4_000;
/** Pages of a list that are read: 200 leases each. */
const PAGES = 10;

export interface Containers {
  /** null until the first list; those that run, and those that ended lately. */
  live: readonly Lease[] | null;
  ended: readonly Lease[];
  trouble: Trouble | null;
  /** Whether events come. */
  streaming: boolean;
  /** Seconds by which this machine's clock is ahead of the server's. */
  ahead: number;
  /** Takes in what an answer said of a lease. */
  put(lease: Lease): void;
  refetch(): void;
}

interface Options {
  everyone?: boolean;
  onEvent?: (event: LeaseEvent) => void;
  onError?: (error: unknown) => void;
}

/** The caller's leases, kept up to date by server-sent events; a list now and then holds them to the truth. */
export function useContainers(client: LeaseClient, options: Options = {}): Containers {
  const { everyone = false, onEvent, onError } = options;
  const [known, tell] = useReducer(learn, nothing);
  const [streaming, setStreaming] = useState(false);
  const [lost, setLost] = useState<Trouble | null>(null);
  const outside = useRef({ onEvent, onError });
  useEffect(() => {
    outside.current = { onEvent, onError };
  });

  const load = useCallback(
    async (signal: AbortSignal) => {
      const asked = performance.now();
      const leases = await whole(client, everyone, signal);
      tell({ kind: "list", leases, asked, now: performance.now() });
    },
    [client, everyone],
  );
  const failed = useCallback((error: unknown) => outside.current.onError?.(error), []);
  const { trouble, refresh } = usePoll(load, streaming ? LIST_EVERY : LIST_EVERY_ALONE, { onError: failed });

  useEffect(() => {
    const gone = new AbortController();
    const follow = async (): Promise<void> => {
      let last: string | null = null;
      let attempt = 0;
      while (!gone.signal.aborted) {
        try {
          // oxlint-disable-next-line no-await-in-loop
          await client.events(
            { everyone },
            last,
            (event, id) => {
              if (gone.signal.aborted) return;
              last = id || last;
              attempt = 0;
              tell({ kind: "event", event, now: performance.now() });
              outside.current.onEvent?.(event);
            },
            () => {
              if (gone.signal.aborted) return;
              setStreaming(true);
              setLost(null);
              // What happened before the stream began is in no event.
              refresh();
            },
            gone.signal,
          );
        } catch (error) {
          if (gone.signal.aborted) return;
          const final = error instanceof Problem && [401, 403].includes(error.status);
          outside.current.onError?.(error);
          setLost(toTrouble(error));
          if (final) return setStreaming(false);
        }
        setStreaming(false);
        attempt += 1;
        // oxlint-disable-next-line no-await-in-loop
        await pause(backoff(attempt), gone.signal);
      }
    };
    void follow();
    return () => gone.abort();
  }, [client, everyone, refresh]);

  const put = useCallback((lease: Lease) => tell({ kind: "one", lease, now: performance.now() }), []);
  const all = useMemo(() => sorted(known), [known]);
  return {
    live: known.listed ? all.filter((one) => !isOver(one)) : null,
    ended: all.filter(isOver),
    // Without events the list still tells; only without both is what is seen old.
    trouble: trouble ?? (known.listed ? null : lost),
    streaming,
    ahead: known.ahead,
    put,
    refetch: refresh,
  };
}

async function whole(client: LeaseClient, everyone: boolean, signal: AbortSignal): Promise<Lease[]> {
  const found: Lease[] = [];
  let cursor: string | undefined;
  for (let i = 0; i < PAGES; i += 1) {
    // oxlint-disable-next-line no-await-in-loop
    const page = await client.list({ everyone, ended: true, cursor }, signal);
    found.push(...page.containers);
    if (!page.next) break;
    cursor = page.next;
  }
  return found;
}
