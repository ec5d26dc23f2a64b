import { act, cleanup, renderHook } from "@testing-library/react";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { useTimer } from "./useTimer";

const now = 1_800_000_000;

function pass(seconds: number): void {
  act(() => void vi.advanceTimersByTime(seconds * 1000));
}

describe("a countdown", () => {
  beforeEach(() => void vi.useFakeTimers({ now: now * 1000 }));
  afterEach(() => {
    cleanup();
    vi.useRealTimers();
  });

  it("goes by minutes, then by seconds, and ends at 0", () => {
    let renders = 0;
    const { result } = renderHook(() => {
      renders += 1;
      return useTimer(now + 600);
    });
    expect(result.current).toEqual({ left: 600, over: false });
    pass(400);
    expect(result.current.left).toBe(180);
    expect(renders).toBeLessThan(30);
    pass(90.01);
    expect(result.current.left).toBe(110);
    pass(109);
    expect(result.current).toEqual({ left: 1, over: false });
    pass(2);
    expect(result.current).toEqual({ left: 0, over: true });
    expect(vi.getTimerCount()).toBe(0);
  });

  it("follows an end that moves, at once", () => {
    const { result, rerender } = renderHook(({ end }) => useTimer(end), { initialProps: { end: now + 30 } });
    pass(10);
    rerender({ end: now + 3600 });
    expect(result.current.left).toBe(3540);
  });

  it("stands still without an end, and leaves no timer behind", () => {
    const { result } = renderHook(() => useTimer(null));
    expect(result.current).toEqual({ left: 0, over: false });
    const { unmount } = renderHook(() => useTimer(now + 60));
    unmount();
    expect(vi.getTimerCount()).toBe(0);
  });

  it("is right again after the machine slept", () => {
    const { result } = renderHook(() => useTimer(now + 3600));
    vi.setSystemTime((now + 3550) * 1000);
    act(() => void document.dispatchEvent(new Event("visibilitychange")));
    expect(result.current.left).toBe(50);
  });
});
