import { describe, expect, it, vi } from "vitest";
import { type Caller, createLeaseApi } from "./client";

/** As the manager answers it. */
const container = {
  id: "01jdm3v9k2x4", username: "alice", name: "quiet-fox", hostname: "quiet-fox.test.localhost", port: 8080,
  url: "http://quiet-fox.test.localhost:8080", imageType: "shell", scenarioType: "shell", exposure: "public",
  status: "running", phase: "ready", createdAt: "2026-11-27T06:35:00.123456Z", readyAt: null,
  expiresAt: "2026-11-27T07:35:00Z", hardLimitAt: "2026-11-28T06:35:00Z", endedAt: null, remainingSeconds: 3599.5,
  paused: false, health: null, why: "runs", warned: false, warm: true, initialTokens: null, failure: null,
  containers: [], resources: null, generation: 3,
}; // prettier-ignore

function answering(body: unknown, init: ResponseInit = {}): ReturnType<typeof vi.fn> {
  const fake = vi.fn(async () => new Response(typeof body === "string" ? body : JSON.stringify(body), init));
  vi.stubGlobal("fetch", fake);
  return fake;
}

const api = createLeaseApi();
const alice: Caller = { access: "token", username: "alice", token: "secret" };

describe("the lease client", () => {
  it("reads a lease, its times in seconds", async () => {
    answering(container);
    const shown = await api.as(alice).show("01jdm3v9k2x4");
    expect([shown.expiresAt, shown.createdAt, shown.readyAt]).toEqual([1_795_764_900, 1_795_761_300.123, null]);
  });

  it.each<[Caller, Record<string, string>]>([
    [{ access: "open", username: "bob" }, { "X-Berth-User": "bob" }],
    [alice, { Authorization: "Bearer secret" }],
    [{ access: "pass" }, {}],
  ])("says who asks: %o", async (caller, headers) => {
    const fake = answering({ containers: [], next: null, total: 0 });
    await api.as(caller).list({});
    expect(fake.mock.calls[0]?.[1]).toMatchObject({ headers, credentials: "same-origin" });
    const sent = fake.mock.lastCall?.[1] as { headers: object } | undefined;
    expect(Object.keys(sent?.headers ?? {})).toEqual(["Accept", ...Object.keys(headers)]);
  });

  it("asks for a lease once, by its key", async () => {
    const fake = answering(container);
    await api.as(alice).provision({ imageType: "shell", durationMinutes: 5, exposure: "public" }, "k1");
    expect(fake.mock.calls[0]?.[1]).toMatchObject({ method: "POST", headers: { "Idempotency-Key": "k1" }, body: '{"imageType":"shell","durationMinutes":5,"exposure":"public"}' });
  });

  it("follows nothing but web addresses", async () => {
    answering({ token: "t", url: "javascript:alert(1)", expiresAt: container.expiresAt });
    await expect(api.as(alice).session("x")).rejects.toMatchObject({ reason: "odd-answer" });
  });

  it("puts a token into the protocols of a WebSocket, never into its address", () => {
    expect(api.as(alice).logs("x", "main", "5-0-1")).toEqual({ url: "ws://localhost/ws/logs/x?role=main&after=5-0-1", protocols: ["berth", "bearer.secret"] });
    expect(api.as({ access: "open", username: "bob" }).logs("x", "db", null)).toEqual({ url: "ws://localhost/ws/logs/x?role=db&username=bob", protocols: ["berth"] });
  });

  it("passes events on that it understands, and goes on after the last", async () => {
    const told = { kind: "ready", lease: "x", username: "alice", at: container.createdAt, message: "it runs", container };
    const fake = answering(`id: 1-0\nevent: ready\ndata: ${JSON.stringify(told)}\n\nid: 2-0\ndata: nonsense\n\n`);
    const heard: [string, string][] = [];
    const begun = vi.fn();
    await api.as(alice).events({ everyone: true }, "0-9", (event, id) => heard.push([event.kind, id]), begun, new AbortController().signal);
    expect(heard).toEqual([["ready", "1-0"]]);
    expect(begun).toHaveBeenCalledOnce();
    expect(fake.mock.calls[0]?.[0]).toBe("/api/events?everyone=true");
    expect(fake.mock.calls[0]?.[1]).toMatchObject({ headers: { "Last-Event-ID": "0-9" } });
  });

  it("explains why there are no events", async () => {
    answering({ reason: "not-admin", detail: "no" }, { status: 403 });
    const asking = api.as(alice).events({}, null, () => undefined, () => undefined, new AbortController().signal);
    await expect(asking).rejects.toMatchObject({ status: 403, reason: "not-admin" });
  });
});
