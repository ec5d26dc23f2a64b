import { describe, expect, it, vi } from "vitest";
import { EventParser, readEvents } from "./sse";

const text = ": hello\n\nid: 1-0\nevent: ready\ndata: {\"a\":1}\n\nid: 2-0\ndata: one\ndata: two\n\n";
const events = [
  { kind: "ready", data: '{"a":1}', id: "1-0" },
  { kind: "message", data: "one\ntwo", id: "2-0" },
];

describe("server-sent events", () => {
  it.each([1, 2, 3, 7, 1000])("are whole, however they are cut: %d", (size) => {
    const parser = new EventParser();
    const found = [];
    for (let i = 0; i < text.length; i += size) found.push(...parser.push(text.slice(i, i + size)));
    expect(found).toEqual(events);
  });

  it("may end their lines as the server likes, and one that is not finished is none", () => {
    const parser = new EventParser();
    expect(parser.push("data: x\r\n\r\ndata: y\r\n")).toEqual([{ kind: "message", data: "x", id: "" }]);
  });

  it("end with the stream, and when nothing comes for too long", async () => {
    const heard: string[] = [];
    await readEvents(new Response(text), 1000, ({ data }) => heard.push(data));
    expect(heard).toEqual(['{"a":1}', "one\ntwo"]);
    vi.useFakeTimers();
    const silent = readEvents(new Response(new ReadableStream({})), 1000, () => undefined);
    await vi.advanceTimersByTimeAsync(1001);
    await expect(silent).resolves.toBe(undefined);
    vi.useRealTimers();
  });
});
