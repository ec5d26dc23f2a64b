/** Times and amounts as people read them. */

/** `in 3 d 4 h`, `in 59 s`; two units at most.  Seconds. */
export function span(seconds: number): string {
  const whole = Math.max(0, Math.floor(seconds));
  const units: [number, string][] = [
    [86_400, "d"],
    [3_600, "h"],
    [60, "min"],
    [1, "s"],
  ];
  const first = units.findIndex(([size]) => whole >= size);
  if (first === -1) return "0 s";
  let rest = whole;
  const words: string[] = [];
  for (const [size, unit] of units.slice(first, first + 2)) {
    const count = Math.floor(rest / size);
    rest -= count * size;
    if (count > 0) words.push(`${count} ${unit}`);
  }
  return words.join(" ");
}

/** How long ago, coarsely. */
export function ago(then: number, now: number): string {
  const seconds = now - then;
  if (seconds < 5) return "just now";
  return `${span(seconds < 120 ? seconds : seconds - (seconds % 60))} ago`;
}

export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  let value = count;
  let unit = "B";
  for (unit of ["KiB", "MiB", "GiB", "TiB"]) {
    value /= 1024;
    if (value < 1024) break;
  }
  return `${value < 10 ? value.toFixed(1) : Math.round(value)} ${unit}`;
}

export function milliseconds(value: number): string {
  return value < 10 ? `${value.toFixed(1)} ms` : `${Math.round(value)} ms`;
}

export function short(text: string, ends = 6): string {
  return text.length <= 2 * ends + 1 ? text : `${text.slice(0, ends)}…${text.slice(-ends + 2)}`;
}
