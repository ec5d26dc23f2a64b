/** How far away a node is: the median of several small requests. */

/** How many requests count.  One goes before them, for the connection's set-up. */
const SAMPLES = 5;
/** Milliseconds after which a node does not answer. */
const PATIENCE = 2_000;

/**
 * Milliseconds to `url` and back, the median of several; null when it does not answer, or not well.
 * A request that fails is tried once more: one lost packet is no dead node.
 */
export async function measure(url: string, signal?: AbortSignal, samples = SAMPLES): Promise<number | null> {
  let retries = 1;
  const times: number[] = [];
  for (let i = 0; i <= samples; i += 1) {
    // One after the other: beside each other they would measure the queue.
    // oxlint-disable-next-line no-await-in-loop
    const time = await once(url, signal);
    if (signal?.aborted) return null;
    if (time === null) {
      if (retries === 0) return null;
      retries -= 1;
      i -= 1;
    } else if (i > 0) times.push(time);
  }
  return median(times);
}

export function median(values: readonly number[]): number | null {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle];
  if (upper === undefined) return null;
  const lower = sorted.length % 2 === 0 ? sorted[middle - 1] : upper;
  return ((lower ?? upper) + upper) / 2;
}

async function once(url: string, signal?: AbortSignal): Promise<number | null> {
  const timeout = AbortSignal.timeout(PATIENCE);
  const start = performance.now();
  try {
    const response = await fetch(url, {
      cache: "no-store",
      credentials: "omit",
      redirect: "error",
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    });
    return response.ok ? performance.now() - start : null;
  } catch {
    return null; // however it failed, the node is out of reach from here
  }
}
