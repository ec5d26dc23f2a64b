import { act, cleanup, renderHook, waitFor } from "@testing-library/react";
import { afterEach, describe, expect, it, vi } from "vitest";
import { FakeLeases, lease } from "../../testing/leases";
import { refusal } from "../../testing/refusal";
import { useContainers } from "./useContainers";

afterEach(cleanup);

function follow(leases: FakeLeases, options: Parameters<typeof useContainers>[1] = {}) {
  const client = leases.as({ access: "open", username: "guest" });
  return renderHook(() => useContainers(client, options));
}

describe("useContainers", () => {
  it("has a list, then what events say", async () => {
    const leases = new FakeLeases();
    leases.hold(lease("a"));
    const onEvent = vi.fn();
    const { result } = follow(leases, { onEvent });
    expect(result.current.live).toBe(null);
    await waitFor(() => expect(result.current.live).toHaveLength(1));
    await waitFor(() => expect(result.current.streaming).toBe(true));
    act(() => leases.happen("id-a", "paused", { paused: true, phase: "paused" }));
    expect(result.current.live?.[0]?.paused).toBe(true);
    act(() => leases.happen("id-a", "gone", { phase: "gone" }));
    expect([result.current.live, result.current.ended.length]).toEqual([[], 1]);
    expect(onEvent).toHaveBeenCalledTimes(2);
  });

  it("goes on after the last event when the stream breaks", async () => {
    const leases = new FakeLeases();
    leases.hold(lease("a"));
    const { result } = follow(leases);
    await waitFor(() => expect(result.current.streaming).toBe(true));
    act(() => leases.happen("id-a", "extended", {}));
    act(() => leases.streams[0]?.end());
    await waitFor(() => expect(result.current.streaming).toBe(false));
    await waitFor(() => expect(leases.streams[0]?.after).toBe("1-0"));
  });

  it("tells trouble with the list, and keeps what it had", async () => {
    const leases = new FakeLeases();
    leases.fail.set("list", refusal(503, "unavailable"));
    const onError = vi.fn();
    const { result } = follow(leases, { onError });
    await waitFor(() => expect(result.current.live).toEqual([]));
    leases.hold(lease("a"));
    act(() => result.current.refetch());
    await waitFor(() => expect(result.current.live).toHaveLength(1));
    leases.fail.set("list", refusal(503, "unavailable"));
    act(() => result.current.refetch());
    await waitFor(() => expect(result.current.trouble?.what).toBe("The lease manager cannot do this just now."));
    expect(result.current.live).toHaveLength(1);
  });

  it("does not ask again for events that it may not have", async () => {
    const leases = new FakeLeases();
    leases.adminToken = "secret";
    const onError = vi.fn();
    follow(leases, { everyone: true, onError });
    await waitFor(() => expect(onError).toHaveBeenCalled());
    expect(leases.asked.filter((one) => one.call === "events")).toHaveLength(1);
  });

  it("ends its stream with what uses it", async () => {
    const leases = new FakeLeases();
    const { result, unmount } = follow(leases);
    await waitFor(() => expect(result.current.streaming).toBe(true));
    unmount();
    await waitFor(() => expect(leases.streams).toHaveLength(0));
  });
});
