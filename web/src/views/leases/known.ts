/** What the page knows of leases, from lists and from events, whichever came last. */
import type { Lease, LeaseEvent } from "../../leases/schemas";

export interface Known {
  /** By id, with when each was last heard of (milliseconds of this page). */
  leases: ReadonlyMap<string, { lease: Lease; heard: number }>;
  /** Whether a whole list has come yet. */
  listed: boolean;
  /** Seconds by which this machine's clock is ahead of the server's. */
  ahead: number;
}

export type News =
  | { kind: "list"; leases: readonly Lease[]; asked: number; now: number }
  | { kind: "one"; lease: Lease; now: number }
  | { kind: "event"; event: LeaseEvent; now: number };

export const nothing: Known = { leases: new Map(), listed: false, ahead: 0 };

export function learn(known: Known, news: News): Known {
  if (news.kind === "list") return learnList(known, news);
  const lease = news.kind === "one" ? news.lease : news.event.container;
  if (!lease) return known;
  const leases = new Map(known.leases);
  if (!put(leases, lease, news.now)) return known;
  // Only an answer is as old as it arrives; an event may have waited.
  return { ...known, leases, ahead: news.kind === "one" ? skew([lease], known.ahead) : known.ahead };
}

/** A list is the whole truth as of when it was asked for: what it lacks is gone, unless it was heard of since. */
function learnList(known: Known, { leases: listed, asked, now }: News & { kind: "list" }): Known {
  const leases = new Map([...known.leases].filter(([id, { heard }]) => heard >= asked || listed.some((one) => one.id === id)));
  for (const lease of listed) put(leases, lease, now);
  return { leases, listed: true, ahead: skew(listed, known.ahead) };
}

/** An older generation never overwrites a newer one. */
function put(leases: Map<string, { lease: Lease; heard: number }>, lease: Lease, now: number): boolean {
  const before = leases.get(lease.id)?.lease;
  if (before && before.generation > lease.generation) return false;
  const resources = lease.resources ?? (lease.status === "running" ? before?.resources : null);
  // Events do not look at each container; what a list said of them stays until the next one.
  const containers = lease.containers.length > 0 ? lease.containers : (before?.containers ?? []);
  leases.set(lease.id, { lease: { ...lease, resources, containers }, heard: now });
  return true;
}

/** A running lease says both when it ends and how long that is: what is left over is between the clocks. */
function skew(leases: readonly Lease[], before: number): number {
  const running = leases.find((one) => !one.paused && !one.endedAt && one.remainingSeconds > 0);
  return running ? Date.now() / 1000 - (running.expiresAt - running.remainingSeconds) : before;
}

/** The newest first; those that ended after those that did not. */
export function sorted(known: Known): Lease[] {
  return [...known.leases.values()].map((one) => one.lease).toSorted((a, b) => Number(isOver(a)) - Number(isOver(b)) || b.createdAt - a.createdAt);
}

export function isOver(lease: Lease): boolean {
  return lease.phase === "gone";
}

export function isEnding(lease: Lease): boolean {
  return lease.phase === "expiring" || lease.phase === "deleting";
}

/** Minutes that a lease can have more. */
export function roomFor(lease: Lease, now = Date.now() / 1000): number {
  if (lease.extendableSeconds != null) return Math.floor(lease.extendableSeconds / 60);
  const until = lease.paused ? now + lease.remainingSeconds : lease.expiresAt;
  return Math.max(0, Math.floor((lease.hardLimitAt - until) / 60));
}
