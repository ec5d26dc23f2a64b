import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { FakeSocket } from "../testing/leases";
import { useWebSocket } from "./useWebSocket";

function connect(onRefused?: (attempt: number) => boolean) {
  const onMessage = vi.fn();
  const target = vi.fn<() => { url: string; protocols: string[] } | null>(() => ({ url: "ws://x", protocols: ["berth"] }));
  const hook = renderHook(() => useWebSocket("x", { target, onMessage, ...(onRefused ? { onRefused } : {}) }));
  return { ...hook, onMessage, target };
}

async function drop(): Promise<void> {
  await act(async () => FakeSocket.last.drop());
}

async function pass(time: number): Promise<void> {
  await act(async () => void (await vi.advanceTimersByTimeAsync(time)));
}

describe("a WebSocket", () => {
  beforeEach(() => {
    vi.useFakeTimers();
    FakeSocket.install();
  });
  afterEach(() => {
    cleanup();
    vi.useRealTimers();
  });

  it("comes back after a break, and asks where to each time", async () => {
    const { result, target } = connect();
    expect(result.current).toBe("connecting");
    act(() => FakeSocket.last.open());
    expect(result.current).toBe("open");
    await drop();
    expect(result.current).toBe("waiting");
    const before = target.mock.calls.length;
    await pass(500);
    expect(FakeSocket.made).toHaveLength(2);
    expect(target.mock.calls.length).toBeGreaterThan(before);
  });

  it("waits longer each time, but not for ever", async () => {
    connect();
    for (let i = 0; i < 8; i += 1) {
      // oxlint-disable-next-line no-await-in-loop
      await drop();
      // oxlint-disable-next-line no-await-in-loop
      await pass(15_000);
    }
    expect(FakeSocket.made).toHaveLength(9);
    await drop();
    await pass(7_000);
    expect(FakeSocket.made).toHaveLength(9);
  });

  it("stops where a refusal is final, or there is nowhere to go", async () => {
    const asked: number[] = [];
    const { result } = connect((attempt) => {
      asked.push(attempt);
      return attempt < 2;
    });
    await drop();
    await pass(1000);
    await drop();
    expect([result.current, asked]).toEqual(["closed", [1, 2]]);
    const other = connect();
    act(() => FakeSocket.last.open());
    other.target.mockReturnValue(null);
    await drop();
    expect(other.result.current).toBe("closed");
  });

  it("comes back at once when the machine is online again", async () => {
    connect();
    await drop();
    await act(async () => void window.dispatchEvent(new Event("online")));
    expect(FakeSocket.made).toHaveLength(2);
  });

  it("is closed with what uses it, and says nothing after", async () => {
    const { unmount, onMessage } = connect();
    const socket = FakeSocket.last;
    unmount();
    expect(socket.closed).toBe(true);
    socket.dispatchEvent(new MessageEvent("message", { data: "late" }));
    socket.drop();
    await pass(60_000);
    expect(onMessage).not.toHaveBeenCalled();
    expect(FakeSocket.made).toHaveLength(1);
  });
});
