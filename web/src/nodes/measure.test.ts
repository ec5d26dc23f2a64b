import { describe, expect, it, vi } from "vitest";
import { measure, median } from "./measure";

function answering(...answers: (number | null)[]): ReturnType<typeof vi.fn> {
  let i = 0;
  let now = 0;
  vi.spyOn(performance, "now").mockImplementation(() => now);
  const fake = vi.fn(async () => {
    const time = answers[Math.min(i, answers.length - 1)] ?? null;
    i += 1;
    if (time === null) throw new TypeError("Failed to fetch");
    now += time;
    return new Response(null, { status: 204 });
  });
  vi.stubGlobal("fetch", fake);
  return fake;
}

describe("measuring a node", () => {
  it("takes the median, without the first request's connection set-up", async () => {
    answering(400, 12, 10, 11, 90, 10);
    expect(await measure("/ping")).toBe(11);
  });

  it("forgives one lost request", async () => {
    answering(10, null, 10);
    expect(await measure("/ping")).toBe(10);
  });

  it("calls a node dead after two, and then stops asking", async () => {
    const fake = answering(null);
    expect(await measure("/ping")).toBe(null);
    expect(fake).toHaveBeenCalledTimes(2);
  });

  it("takes an error for no answer", async () => {
    vi.stubGlobal("fetch", async () => new Response("", { status: 503 }));
    expect(await measure("/ping")).toBe(null);
  });

  it("sends no credentials and follows nobody elsewhere", async () => {
    const fake = answering(1);
    await measure("https://node.example/ping");
    expect(fake.mock.calls[0]?.[1]).toMatchObject({ credentials: "omit", redirect: "error", cache: "no-store" });
  });

  it("knows medians", () => {
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
    expect(median([])).toBe(null);
  });
});
