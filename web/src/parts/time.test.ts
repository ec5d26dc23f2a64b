import { describe, expect, it } from "vitest";
import { ago, bytes, milliseconds, short, span } from "./time";

describe("times", () => {
  it.each([
    [0, "0 s"],
    [-5, "0 s"],
    [59.9, "59 s"],
    [60, "1 min"],
    [3_725, "1 h 2 min"],
    [3 * 86_400 + 4 * 3_600 + 59, "3 d 4 h"],
    [86_400 + 59, "1 d"],
  ])("of %d s read %s", (seconds, text) => expect(span(seconds)).toBe(text));

  it("in the past are coarse", () => {
    expect(ago(100, 102)).toBe("just now");
    expect(ago(100, 190)).toBe("1 min 30 s ago");
    expect(ago(100, 100 + 3_605)).toBe("1 h ago");
  });
});

describe("amounts", () => {
  it.each([
    [0, "0 B"],
    [1_023, "1023 B"],
    [1_536, "1.5 KiB"],
    [20 * 1024 ** 2, "20 MiB"],
    [5 * 1024 ** 5, "5120 TiB"],
  ])("of %d bytes read %s", (count, text) => expect(bytes(count)).toBe(text));

  it("of time and text stay short", () => {
    expect(milliseconds(5.25)).toBe("5.3 ms");
    expect(milliseconds(100.4)).toBe("100 ms");
    expect(short("0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266")).toBe("0xf39F…2266");
    expect(short("123")).toBe("123");
  });
});
