import { act, cleanup, renderHook, waitFor } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { FakeLeases, FakeSocket, lease, logLine } from "../../testing/leases";
import { KEPT, useLogs } from "./useLogs";

beforeEach(() => FakeSocket.install());
afterEach(cleanup);

function follow() {
  const leases = new FakeLeases();
  leases.hold(lease("a"));
  const client = leases.as({ access: "open", username: "guest" });
  return { leases, ...renderHook(() => useLogs(client, "id-a", "main")) };
}

describe("useLogs", () => {
  it("goes on behind the last line after a break: none lost, none doubled", async () => {
    const { result } = follow();
    expect(FakeSocket.last.url).toBe("ws://localhost/ws/logs/id-a/main");
    act(() => FakeSocket.last.open());
    act(() => FakeSocket.last.say(logLine(1), logLine(2)));
    await act(async () => FakeSocket.last.drop());
    expect(result.current.state).toBe("waiting");
    await waitFor(() => expect(FakeSocket.made).toHaveLength(2));
    expect(FakeSocket.last.url).toBe("ws://localhost/ws/logs/id-a/main?after=2-0-0");
    act(() => FakeSocket.last.open());
    act(() => FakeSocket.last.say(logLine(3), logLine(9, { type: "gap", lost: 5 })));
    await waitFor(() => expect(result.current.lines.map((line) => line.cursor)).toEqual(["1-0-0", "2-0-0", "3-0-0", "9-0-0"]));
  });

  it("keeps so many lines and says how many made room", async () => {
    const { result } = follow();
    act(() => FakeSocket.last.open());
    act(() => FakeSocket.last.say(...Array.from({ length: KEPT + 10 }, (_, i) => logLine(i))));
    await waitFor(() => expect(result.current.lines).toHaveLength(KEPT));
    expect([result.current.dropped, result.current.lines[0]?.message]).toEqual([10, "line 10"]);
    act(() => result.current.clear());
    expect([result.current.dropped, result.current.lines]).toEqual([0, []]);
  });

  it("does not come back to a log that is complete", async () => {
    const { result } = follow();
    act(() => FakeSocket.last.open());
    act(() => FakeSocket.last.say(logLine(1, { type: "end", message: "gone" })));
    await act(async () => FakeSocket.last.drop());
    expect([result.current.state, result.current.ended]).toEqual(["closed", true]);
  });

  it("says why it is refused, and tries on where it may pass", async () => {
    const { leases, result } = follow();
    await act(async () => FakeSocket.last.drop());
    expect([result.current.state, result.current.trouble]).toEqual(["waiting", null]);
    leases.held.clear();
    await waitFor(() => expect(FakeSocket.made).toHaveLength(2));
    await act(async () => FakeSocket.last.drop());
    await waitFor(() => expect(result.current.state).toBe("closed"));
    expect(result.current.trouble?.what).toBe("That lease is not there.");
  });

  it("takes the manager's word for a refusal", async () => {
    const { result } = follow();
    act(() => FakeSocket.last.open());
    await act(async () => FakeSocket.last.refuse(401, "token-unknown"));
    expect([result.current.state, result.current.trouble?.what]).toEqual(["closed", "Your API token does not count any more."]);
  });

  it("shows a gap once, though it comes again after a break", async () => {
    const { result } = follow();
    const gap = logLine(1, { type: "gap", lost: 5 });
    act(() => FakeSocket.last.open());
    act(() => FakeSocket.last.say(logLine(1), gap, gap, logLine(7)));
    await waitFor(() => expect(result.current.lines.map((line) => line.type)).toEqual(["line", "gap", "line"]));
  });

  it("takes nonsense for no line", async () => {
    const { result } = follow();
    act(() => FakeSocket.last.open());
    FakeSocket.last.dispatchEvent(new MessageEvent("message", { data: "{" }));
    FakeSocket.last.dispatchEvent(new MessageEvent("message", { data: "[]" }));
    act(() => FakeSocket.last.say(logLine(1)));
    await waitFor(() => expect(result.current.lines).toHaveLength(1));
  });
});
