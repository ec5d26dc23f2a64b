/** Server-sent events read with fetch, since EventSource can send no header of its own. */

export interface ServerEvent {
  kind: string;
  data: string;
  id: string;
}

/** Splits what arrives into events, however it is cut on the way.  Comments (keep-alives) give none. */
export class EventParser {
  #rest = "";
  #kind = "";
  #data: string[] = [];
  #id = "";

  push(text: string): ServerEvent[] {
    const found: ServerEvent[] = [];
    const lines = (this.#rest + text).split(/\r\n|\n|\r(?!$)/);
    this.#rest = lines.pop() ?? "";
    for (const line of lines) {
      if (line === "") {
        if (this.#data.length > 0) found.push({ kind: this.#kind || "message", data: this.#data.join("\n"), id: this.#id });
        this.#kind = "";
        this.#data = [];
      } else this.#take(line);
    }
    return found;
  }

  #take(line: string): void {
    const colon = line.indexOf(":");
    const name = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(colon + 1).replace(/^ /, "");
    if (name === "event") this.#kind = value;
    else if (name === "data") this.#data.push(value);
    else if (name === "id") this.#id = value;
  }
}

/** Reads an answer to its end, or until `silence` milliseconds pass without a byte. */
export async function readEvents(response: Response, silence: number, tell: (event: ServerEvent) => void): Promise<void> {
  const reader = response.body?.getReader();
  if (!reader) return;
  const parser = new EventParser();
  const decoder = new TextDecoder();
  let watch: ReturnType<typeof setTimeout> | undefined;
  try {
    for (;;) {
      clearTimeout(watch);
      watch = setTimeout(() => void reader.cancel().catch(() => undefined), silence);
      // oxlint-disable-next-line no-await-in-loop
      const { done, value } = await reader.read();
      if (done) return;
      for (const event of parser.push(decoder.decode(value, { stream: true }))) tell(event);
    }
  } finally {
    clearTimeout(watch);
  }
}
