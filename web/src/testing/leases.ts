/** A lease manager in memory, for tests of components; the real one is met in tests/browser. */
import { vi } from "vitest";
import type { Asked, Caller, LeaseApi, LeaseClient, Wanted } from "../leases/client";
import type { AccessMode, Lease, LeaseEvent, LeasePage, LogLine, Me, Overview, Scenario } from "../leases/schemas";
import { refusal } from "./refusal";

export function scenario(name: string, other: Partial<Scenario> = {}): Scenario {
  return {
    name,
    title: name,
    description: "",
    default: false,
    containers: ["main"],
    exposure: "public",
    pooled: false,
    minMinutes: 1,
    maxMinutes: 1440,
    memoryMib: 128,
    cpus: 0.5,
    ...other,
  };
}

/** One that runs for another hour. */
export function lease(name: string, other: Partial<Lease> = {}): Lease {
  const now = Math.floor(Date.now() / 1000);
  const left = other.remainingSeconds ?? 3600;
  return {
    id: `id-${name}`,
    username: "guest",
    name,
    hostname: `${name}.test.localhost`,
    port: 8080,
    url: `http://${name}.test.localhost:8080`,
    imageType: "shell",
    scenarioType: "shell",
    exposure: "public",
    status: "running",
    phase: "ready",
    createdAt: now,
    readyAt: now,
    expiresAt: now + left,
    hardLimitAt: now + 86_400,
    endedAt: null,
    remainingSeconds: left,
    paused: false,
    health: null,
    why: "It runs until its time is over.",
    warned: false,
    warm: false,
    initialTokens: null,
    failure: null,
    containers: [{ role: "main", image: "berth/shell", state: "running", health: null, exitCode: null, restarts: 0, outOfMemory: false }],
    resources: null,
    generation: 1,
    ...other,
  };
}

export function logLine(number: number, other: Partial<LogLine> = {}): LogLine {
  return { type: "line", timestamp: 1_700_000_000 + number, level: "info", stream: "stdout", role: "main", message: `line ${number}`, cursor: `${number}-0-0`, lost: null, ...other };
}

/** A line as it comes over the wire. */
export function wire(line: LogLine): string {
  return JSON.stringify({ ...line, timestamp: new Date(line.timestamp * 1000).toISOString() });
}

type Call = "scenarios" | "register" | Exclude<keyof LeaseClient, "caller" | "logs">;
type Listener = { tell: (event: LeaseEvent, id: string) => void; after: string | null; end: (error?: Error) => void };

/** Does what the lease API promises, as far as the page can tell. */
export class FakeLeases implements LeaseApi {
  access: AccessMode = "open";
  offered: Scenario[] = [scenario("shell", { title: "A shell", default: true, pooled: true, maxMinutes: 120 }), scenario("stack", { title: "A stack", containers: ["main", "db"], memoryMib: 512 })];
  readonly held = new Map<string, Lease>();
  tokens = new Map<string, string>([["good-token", "alice"]]);
  adminToken: string | null = null;
  draining = false;
  /** What the next call of that name throws, once. */
  readonly fail = new Map<Call, Error>();
  /** What was asked, with what and by whom. */
  readonly asked: { call: Call; with: unknown; by: Caller }[] = [];
  readonly streams: Listener[] = [];
  #made = 0;
  #event = 0;

  scenarios = async () => this.answer("scenarios", { scenarios: this.offered, access: this.access, domain: "test.localhost" });
  register = async (username: string) => {
    this.answer("register", null);
    if ([...this.tokens.values()].includes(username)) throw refusal(409, "username-taken", `${username} is taken: choose another name`);
    this.tokens.set(`token-of-${username}`, username);
    return { username, token: `token-of-${username}`, wallet: null, createdAt: Date.now() / 1000 };
  };
  as = (caller: Caller): LeaseClient => new FakeClient(this, caller);

  answer<T>(name: Call, value: T): T {
    const error = this.fail.get(name);
    this.fail.delete(name);
    if (error) throw error;
    return value;
  }

  /** Of whom a caller is; refuses as the manager does. */
  who(caller: Caller): string {
    if (caller.access !== "token") return caller.access === "open" ? caller.username : "0xf39f";
    if (caller.token === this.adminToken) return "admin";
    const user = this.tokens.get(caller.token);
    if (!user) throw refusal(401, "token-unknown");
    return user;
  }

  isAdmin(caller: Caller): boolean {
    return this.adminToken === null ? this.access === "open" : this.who(caller) === "admin";
  }

  hold(...leases: Lease[]): void {
    for (const one of leases) this.held.set(one.id, one);
  }

  make(asked: Asked, username: string): Lease {
    this.#made += 1;
    const made = lease(`lease-${this.#made}`, {
      username,
      scenarioType: asked.imageType,
      remainingSeconds: asked.durationMinutes * 60,
      status: "starting",
      phase: "creating",
      exposure: asked.exposure,
      initialTokens: asked.initialTokens ?? null,
    });
    this.hold(made);
    return made;
  }

  change(id: string, other: Partial<Lease>): Lease {
    const before = this.held.get(id);
    if (!before) throw refusal(404, "not-found");
    const after = { ...before, ...other, generation: before.generation + 1 };
    this.held.set(id, after);
    return after;
  }

  /** Something happened: changes the lease, and tells whoever listens. */
  happen(id: string, kind: string, other: Partial<Lease>, message = `${id} ${kind}`): void {
    const container = this.change(id, other);
    this.#event += 1;
    for (const { tell } of this.streams) tell({ kind, lease: id, username: container.username, at: Date.now() / 1000, message, container }, `${this.#event}-0`);
  }
}

class FakeClient implements LeaseClient {
  readonly caller: Caller;
  readonly #of: FakeLeases;

  constructor(of: FakeLeases, caller: Caller) {
    this.#of = of;
    this.caller = caller;
  }

  #ask<T>(call: Call, given: unknown, make: (who: string) => T): T {
    this.#of.asked.push({ call, with: given, by: this.caller });
    this.#of.answer(call, null);
    return make(this.#of.who(this.caller));
  }

  #mine(wanted: Wanted, who: string): Lease[] {
    if (wanted.everyone && !this.#of.isAdmin(this.caller)) throw refusal(403, "not-admin");
    return [...this.#of.held.values()].filter((one) => wanted.everyone || one.username === who);
  }

  me = async (): Promise<Me> =>
    this.#ask("me", null, (username) => {
      const leases = this.#mine({}, username).filter((one) => one.phase !== "gone").length;
      return { username, admin: false, access: this.#of.access, wallet: null, leases, mostLeases: 10, totalLeases: leases, mostTotalLeases: 100 };
    });
  provision = async (asked: Asked, key: string): Promise<Lease> => this.#ask("provision", { asked, key }, (who) => this.#of.make(asked, who));
  list = async (wanted: Wanted): Promise<LeasePage> =>
    this.#ask("list", wanted, (who) => {
      const containers = this.#mine(wanted, who);
      return { containers, next: null, total: containers.length };
    });
  show = async (id: string): Promise<Lease> => this.#ask("show", id, () => this.#of.change(id, {}));
  extend = async (id: string, minutes: number, key: string): Promise<Lease> =>
    this.#ask("extend", { id, minutes, key }, () => {
      const { expiresAt, remainingSeconds } = this.#of.change(id, {});
      return this.#of.change(id, { expiresAt: expiresAt + minutes * 60, remainingSeconds: remainingSeconds + minutes * 60, warned: false });
    });
  pause = async (id: string): Promise<Lease> => this.#ask("pause", id, () => this.#of.change(id, { phase: "paused", paused: true, status: "stopped" }));
  resume = async (id: string): Promise<Lease> => this.#ask("resume", id, () => this.#of.change(id, { phase: "ready", paused: false, status: "running" }));
  remove = async (id: string): Promise<void> => {
    this.#ask("remove", id, () => this.#of.change(id, { phase: "gone", status: "stopped", endedAt: Date.now() / 1000, why: "Its holder ended it." }));
  };
  session = async (id: string) =>
    this.#ask("session", id, () => ({ token: "jwt", url: `http://${id}.test.localhost/?berth_session=jwt`, expiresAt: Date.now() / 1000 + 3600 }));
  events = async (wanted: Wanted, after: string | null, tell: Listener["tell"], begun: () => void, signal: AbortSignal): Promise<void> => {
    this.#ask("events", { wanted, after }, (who) => this.#mine(wanted, who));
    begun();
    await new Promise<void>((resolve, reject) => {
      const own: Listener = { tell, after, end: (error) => (error ? reject(error) : resolve()) };
      this.#of.streams.push(own);
      signal.addEventListener("abort", () => own.end(new Error("aborted")));
    }).finally(() => this.#of.streams.splice(0));
  };
  logs = (id: string, role: string, after: string | null) => ({ url: `ws://localhost/ws/logs/${id}/${role}${after ? `?after=${after}` : ""}`, protocols: ["berth"] });
  overview = async (): Promise<Overview> =>
    this.#ask("overview", null, () => {
      if (!this.#of.isAdmin(this.caller)) throw refusal(403, "not-admin");
      return { draining: this.#of.draining, phases: { ready: this.#of.held.size, gone: 0 }, leases: this.#of.held.size, mostLeases: 100, pool: { shell: 2 }, deadLetters: 0, users: 3, strangers: [] };
    });
  deadLetters = async (): Promise<LeasePage> => this.#ask("deadLetters", null, () => ({ containers: [], next: null, total: 0 }));
  retry = async (id: string): Promise<Lease> => this.#ask("retry", id, () => this.#of.change(id, {}));
  drain = async (drain: boolean, end: boolean): Promise<Overview> => {
    this.#ask("drain", { drain, end }, () => null);
    this.#of.draining = drain;
    return this.overview();
  };
}

/** Stands in for the browser's WebSocket; each that was made is in {@link FakeSocket.made}. */
export class FakeSocket extends EventTarget {
  static made: FakeSocket[] = [];
  readonly url: string;
  readonly protocols: string[];
  closed = false;

  constructor(url: string, protocols: string[]) {
    super();
    this.url = url;
    this.protocols = protocols;
    FakeSocket.made.push(this);
  }

  static install(): void {
    FakeSocket.made = [];
    vi.stubGlobal("WebSocket", FakeSocket);
  }

  static get last(): FakeSocket {
    const last = FakeSocket.made.at(-1);
    if (!last) throw new Error("no WebSocket was made");
    return last;
  }

  open(): void {
    this.dispatchEvent(new Event("open"));
  }

  say(...lines: LogLine[]): void {
    for (const line of lines) this.dispatchEvent(new MessageEvent("message", { data: wire(line) }));
  }

  /** What the manager says before it closes. */
  refuse(status: number, reason: string): void {
    this.dispatchEvent(new MessageEvent("message", { data: JSON.stringify({ type: "error", status, reason, detail: "because" }) }));
    this.drop();
  }

  /** The connection breaks. */
  drop(): void {
    this.dispatchEvent(new Event("close"));
  }

  close(): void {
    this.closed = true;
  }
}
