import { describe, expect, it } from "vitest";
import { lease } from "../../testing/leases";
import { type Known, learn, nothing, sorted } from "./known";

const names = (known: Known): string[] => sorted(known).map((one) => one.name);
const happened = (container: ReturnType<typeof lease>, now: number) =>
  ({ kind: "event", now, event: { kind: "ready", lease: container.id, username: "guest", at: 0, message: "", container } }) as const;

describe("what is known of leases", () => {
  it("never goes back to an older generation", () => {
    const first = learn(nothing, { kind: "one", lease: lease("a", { generation: 5, status: "running" }), now: 1 });
    const late = learn(first, happened(lease("a", { generation: 4, status: "starting" }), 2));
    expect(late).toBe(first);
    const listed = learn(first, { kind: "list", leases: [lease("a", { generation: 4, status: "starting" })], asked: 2, now: 3 });
    expect(sorted(listed)[0]?.status).toBe("running");
  });

  it("loses what a list lacks, but not what was heard of after it was asked for", () => {
    const old = learn(nothing, { kind: "one", lease: lease("old"), now: 1 });
    const both = learn(old, happened(lease("new"), 6));
    expect(names(learn(both, { kind: "list", leases: [], asked: 5, now: 9 }))).toEqual(["new"]);
  });

  it("keeps what a lease uses over events that do not say it", () => {
    const used = { cpuPercent: 3, memoryBytes: 1, memoryLimitBytes: 2, networkRxBytes: 0, networkTxBytes: 0, pids: 1 };
    const first = learn(nothing, { kind: "list", leases: [lease("a", { resources: used })], asked: 0, now: 1 });
    expect(sorted(learn(first, happened(lease("a", { generation: 2 }), 2)))[0]?.resources).toEqual(used);
    const known = sorted(learn(first, happened(lease("a", { generation: 2, containers: [] }), 2)))[0];
    expect(known?.containers.map((one) => one.role)).toEqual(["main"]);
    const paused = learn(first, happened(lease("a", { generation: 2, status: "stopped" }), 2));
    expect(sorted(paused)[0]?.resources).toBe(null);
  });

  it("learns from a running lease how wrong this machine's clock is, not from a paused one", () => {
    const ahead = learn(nothing, { kind: "list", leases: [lease("p", { paused: true }), lease("a", { remainingSeconds: 60, expiresAt: Date.now() / 1000 - 540 })], asked: 0, now: 1 });
    expect(ahead.ahead).toBeCloseTo(600, 0);
    expect(learn(nothing, { kind: "list", leases: [lease("p", { paused: true, remainingSeconds: 5 })], asked: 0, now: 1 }).ahead).toBe(0);
  });

  it("has the newest first, and what ended last", () => {
    const listed = [lease("b", { createdAt: 2 }), lease("gone", { createdAt: 9, phase: "gone" }), lease("a", { createdAt: 1 }), lease("c", { createdAt: 3 })];
    expect(names(learn(nothing, { kind: "list", leases: listed, asked: 0, now: 1 }))).toEqual(["c", "b", "a", "gone"]);
  });
});
