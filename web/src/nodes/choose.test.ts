import { describe, expect, it } from "vitest";
import type { VpnNode } from "../api/schemas";
import { node } from "../testing/given";
import { offered } from "./choose";

interface Case {
  title: string;
  nodes: VpnNode[];
  latencies: [string, number | null][];
  current?: string;
  want: string | null;
}

const three = [node("a"), node("b"), node("c")];
const cases: Case[] = [
  { title: "the nearest", nodes: three, latencies: [["a", 50], ["b", 5], ["c", 100]], want: "b" },
  { title: "the next when the nearest does not answer", nodes: three, latencies: [["a", 50], ["b", null], ["c", 100]], want: "a" },
  { title: "none that is not well", nodes: [node("a", { healthy: false }), node("b")], latencies: [["a", 5], ["b", 90]], want: "b" },
  { title: "one that only the page can tell of", nodes: [node("a", { healthy: null })], latencies: [["a", 5]], want: "a" },
  { title: "nothing when none answers", nodes: three, latencies: [["a", null], ["b", null]], want: null },
  { title: "one without a probe when nothing else is left", nodes: [node("a"), node("b", { probeUrl: null })], latencies: [["a", null]], want: "b" },
  { title: "nothing of nothing", nodes: [], latencies: [], want: null },
  { title: "the emptier of near-equals", nodes: [node("a", { connected: 9 }), node("b", { connected: 1 })], latencies: [["a", 5], ["b", 8]], want: "b" },
  { title: "not the emptier far one", nodes: [node("a", { connected: 9 }), node("b", { connected: 1 })], latencies: [["a", 5], ["b", 50]], want: "a" },
  { title: "near by share when both are far", nodes: [node("a", { connected: 9 }), node("b", { connected: 1 })], latencies: [["a", 200], ["b", 235]], want: "b" },
  { title: "the same as before among near-equals", nodes: three, latencies: [["a", 6], ["b", 5], ["c", 100]], current: "a", want: "a" },
  { title: "another than before when that is far now", nodes: three, latencies: [["a", 60], ["b", 5], ["c", 100]], current: "a", want: "b" },
];

describe("the node that is offered", () => {
  it.each(cases)("is $title", ({ nodes, latencies, current, want }) => {
    expect(offered(nodes, new Map(latencies), current)?.id ?? null).toBe(want);
  });

  it("spreads clients over near-equals", () => {
    const load = new Map([["a", 0], ["b", 0], ["c", 0]]);
    for (let i = 0; i < 90; i += 1) {
      const nodes = [...load].map(([id, connected]) => node(id, { connected }));
      const chosen = offered(nodes, new Map([["a", 5], ["b", 6.5], ["c", 7]]));
      load.set(chosen?.id ?? "", (load.get(chosen?.id ?? "") ?? 0) + 1);
    }
    expect([...load.values()]).toEqual([30, 30, 30]);
  });
});
