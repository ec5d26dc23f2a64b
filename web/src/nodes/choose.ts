/** Which node is offered.  Pure. */
import type { VpnNode } from "../api/schemas";

/** Milliseconds by node id: null for a node that does not answer, absent for one that was not measured yet. */
export type Latencies = ReadonlyMap<string, number | null>;

/** Two nodes are near-equal when they differ by less than this many milliseconds, or this share. */
const NEAR = 8;
const NEAR_SHARE = 0.2;

/**
 * The nearest node that is healthy; among near-equals the one with the fewest clients, so that they spread.
 * `current` stays the offer as long as it is among the near-equals: an offer that flickers is of no use.
 */
export function offered(nodes: readonly VpnNode[], latencies: Latencies, current?: string | null): VpnNode | null {
  const usable = nodes.flatMap((node) => {
    const latency = latencies.get(node.id);
    return node.healthy !== false && latency != null ? [{ node, latency }] : [];
  });
  if (usable.length === 0) return unmeasurable(nodes);
  const nearest = Math.min(...usable.map((one) => one.latency));
  const limit = Math.max(nearest + NEAR, nearest * (1 + NEAR_SHARE));
  const near = usable.filter((one) => one.latency <= limit);
  const kept = near.find((one) => one.node.id === current);
  if (kept) return kept.node;
  const best = near.toSorted(
    (a, b) => clients(a.node) - clients(b.node) || a.latency - b.latency || a.node.id.localeCompare(b.node.id),
  )[0];
  return best?.node ?? null;
}

/** Nothing that can be measured answers: then what the operator's service says is well has to do. */
function unmeasurable(nodes: readonly VpnNode[]): VpnNode | null {
  const well = nodes.filter((node) => node.healthy === true && !node.probeUrl);
  return well.toSorted((a, b) => clients(a) - clients(b))[0] ?? null;
}

/** Every node has every peer, so the load is who is connected. */
function clients(node: VpnNode): number {
  return node.connected ?? node.peers ?? 0;
}
