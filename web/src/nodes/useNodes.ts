import { useCallback, useEffect, useReducer } from "react";
import type { Trouble } from "../api/problem";
import type { VpnNode } from "../api/schemas";
import { usePoll } from "../hooks/usePoll";
import { pause } from "../parts/pause";
import { useServices } from "../services";
import { useSession } from "../session";
import { type Latencies, offered } from "./choose";

/** Milliseconds.  A dead node is noticed after a pause and two time-outs of a probe: within 7 s. */
const LIST_EVERY = 5_000;
const PROBE_PAUSE = 2_000;

interface Known {
  /** null until the first answer. */
  nodes: readonly VpnNode[] | null;
  latencies: Latencies;
  /** The nearest healthy node, once each was measured. */
  offer: VpnNode | null;
}

export interface Nodes extends Known {
  trouble: Trouble | null;
}

type News = { nodes: readonly VpnNode[] } | { id: string; latency: number | null };

function learn(known: Known, news: News): Known {
  const nodes = "nodes" in news ? news.nodes : known.nodes;
  const heard = "nodes" in news ? known.latencies : new Map(known.latencies).set(news.id, news.latency);
  const latencies = new Map([...heard].filter(([id]) => nodes?.some((node) => node.id === id)));
  // Before each was measured, the first to answer would be the offer, whatever it is.
  const measured = nodes?.every((node) => node.healthy === false || !node.probeUrl || latencies.has(node.id)) ?? false;
  return { nodes, latencies, offer: measured && nodes ? offered(nodes, latencies, known.offer?.id) : null };
}

/** The nodes that the operator offers, each measured again and again while the page is visible. */
export function useNodes(): Nodes {
  const { client, measure } = useServices();
  const { failed } = useSession();
  const [known, tell] = useReducer(learn, { nodes: null, latencies: new Map(), offer: null });
  const load = useCallback(
    async (signal: AbortSignal) => {
      const nodes = await client.nodes(signal);
      tell({ nodes });
    },
    [client],
  );
  const { trouble } = usePoll(load, LIST_EVERY, { onError: failed });

  // As text, so that probes go on over answers that name the same places.
  const places = JSON.stringify((known.nodes ?? []).flatMap((node) => (node.probeUrl ? [[node.id, node.probeUrl]] : [])));
  useEffect(() => {
    const gone = new AbortController();
    const watch = async (id: string, url: string): Promise<void> => {
      while (!gone.signal.aborted) {
        if (!document.hidden) {
          // oxlint-disable-next-line no-await-in-loop
          const latency = await measure(url, gone.signal);
          if (gone.signal.aborted) return;
          tell({ id, latency });
        }
        // oxlint-disable-next-line no-await-in-loop
        await pause(PROBE_PAUSE, gone.signal);
      }
    };
    for (const [id, url] of JSON.parse(places) as [string, string][]) void watch(id, url);
    return () => gone.abort();
  }, [places, measure]);

  return { ...known, trouble };
}
