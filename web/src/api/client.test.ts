import { describe, expect, it, vi } from "vitest";
import { config, node } from "../testing/given";
import { createClient } from "./client";
import { Problem } from "./problem";

function answering(body: unknown, init: ResponseInit = {}): ReturnType<typeof vi.fn> {
  const fake = vi.fn(async () => new Response(typeof body === "string" ? body : JSON.stringify(body), init));
  vi.stubGlobal("fetch", fake);
  return fake;
}

async function problem(doing: Promise<unknown>): Promise<Problem> {
  const error: unknown = await doing.catch((thrown: unknown) => thrown);
  if (error instanceof Problem) return error;
  throw new Error(`not a Problem: ${String(error)}`);
}

const client = createClient();

describe("the client", () => {
  it("gives what the server answers", async () => {
    answering(config());
    expect(await client.config()).toEqual(config());
  });

  it("keeps token ids beyond 2^53 exact", async () => {
    const token = String(2n ** 255n + 1n);
    answering(`{"devices": [{"token": "${token}", "key": "${node("x").publicKey}", "address": "10.0.0.1", "expires": 0, "status": "active"}]}`);
    expect((await client.devices())[0]?.token).toBe(token);
  });

  it.each([
    ["an endpoint with a line of its own", { nodes: [node("x", { endpoint: "a:1\nPostUp = reboot" })] }],
    ["a key that is none", { nodes: [node("x", { publicKey: "AAAA" })] }],
    ["a missing member", { nodes: [{ id: "x" }] }],
    ["something else altogether", ["nodes"]],
  ])("does not pass on %s", async (_, body) => {
    answering(body);
    expect(await problem(client.nodes())).toMatchObject({ reason: "odd-answer" });
  });

  it("says which part of an answer is odd", async () => {
    answering({ ...config(), dns: ["not an address\nPostUp"] });
    expect((await problem(client.config())).trouble.why).toContain("dns.0");
  });

  it("takes HTML from a proxy for no answer", async () => {
    answering("<html>503</html>", { status: 503 });
    const error = await problem(client.passes());
    expect([error.status, error.trouble.what]).toEqual([503, "The server cannot do this just now."]);
    answering("<html>");
    expect((await problem(client.passes())).reason).toBe("odd-answer");
  });

  it("explains a problem document by its reason, with when to try again", async () => {
    answering({ title: "Too Many Requests", detail: "slow down", reason: "rate-limited" }, { status: 429, headers: { "Retry-After": "12" } });
    expect((await problem(client.passes())).trouble).toEqual({
      what: "That was too often.",
      why: "Slow down.",
      todo: "Wait a little, then try again. Earliest in 12 s.",
    });
  });

  it("explains a reason that it does not know by its status", async () => {
    answering({ detail: "no teapots" }, { status: 418 });
    expect((await problem(client.passes())).trouble).toMatchObject({ what: "The server refuses this.", why: "No teapots." });
  });

  it("knows the end of a session", async () => {
    answering({ reason: "session-expired" }, { status: 401 });
    expect((await problem(client.session())).signedOut).toBe(true);
  });

  it("says when there is no connection", async () => {
    vi.stubGlobal("fetch", async () => {
      throw new TypeError("Failed to fetch");
    });
    expect(await problem(client.session())).toMatchObject({ status: 0, reason: "no-answer" });
  });

  it("takes health from a 503 too, where the document is the same", async () => {
    answering({ status: "failing", checks: {} }, { status: 503 });
    expect((await client.health()).status).toBe("failing");
  });

  it("sends its session to its own origin alone, and asks no cache", async () => {
    const fake = answering({ transaction: "0x01" });
    await client.revoke("7", 99, "0x12");
    expect(fake.mock.calls[0]?.[0]).toBe("/api/access/devices/7");
    expect(fake.mock.calls[0]?.[1]).toMatchObject({ method: "DELETE", credentials: "same-origin", cache: "no-store", body: '{"deadline":99,"signature":"0x12"}' });
  });
});
