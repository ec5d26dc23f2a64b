/** The lease API, typed, for one caller: whoever asks is told by a header, or by the session's cookie. */
import { type Call, ask, refused, send, silent } from "../api/http";
import * as schemas from "./schemas";
import type { Exposure, Lease, LeaseEvent, LeasePage, Me, Opened, Overview, Scenarios, UserMade } from "./schemas";
import { readEvents } from "./sse";

/** Who asks.  `pass`: the session of the page. */
export type Caller =
  | { access: "open"; username: string }
  | { access: "token"; username: string; token: string }
  | { access: "pass" };

export interface Asked {
  imageType: string;
  durationMinutes: number;
  exposure: Exposure;
  initialTokens?: number;
  /** With `vpn`: the token id of the pass through whose tunnel it is reached. */
  pass?: string;
}

/** Of the list: `everyone` for operators, `ended` with those that ended lately. */
export interface Wanted {
  everyone?: boolean;
  ended?: boolean;
  cursor?: string | undefined;
}

/** What needs no caller. */
export interface LeaseApi {
  scenarios(signal?: AbortSignal): Promise<Scenarios>;
  /** `key` as of `provision`: where the answer was lost, the same again has another token. */
  register(username: string, key: string): Promise<UserMade>;
  /** The same API for this caller. */
  as(caller: Caller): LeaseClient;
}

/** Every method throws Problem, or the signal's reason when it was aborted from outside. */
export interface LeaseClient {
  readonly caller: Caller;
  me(signal?: AbortSignal): Promise<Me>;
  /** `key` makes it once, however often it is sent. */
  provision(asked: Asked, key: string): Promise<Lease>;
  list(wanted: Wanted, signal?: AbortSignal): Promise<LeasePage>;
  show(id: string, signal?: AbortSignal): Promise<Lease>;
  extend(id: string, minutes: number, key: string): Promise<Lease>;
  pause(id: string): Promise<Lease>;
  resume(id: string): Promise<Lease>;
  remove(id: string): Promise<void>;
  session(id: string): Promise<Opened>;
  /** Calls `tell` with what happens until it ends; `begun` once it runs.  `after` is the id of the last event seen. */
  events(wanted: Wanted, after: string | null, tell: (event: LeaseEvent, id: string) => void, begun: () => void, signal: AbortSignal): Promise<void>;
  /** Where the log of a lease's container is followed, from after a cursor on. */
  logs(id: string, role: string, after: string | null): { url: string; protocols: string[] };
  overview(signal?: AbortSignal): Promise<Overview>;
  deadLetters(signal?: AbortSignal): Promise<LeasePage>;
  retry(id: string): Promise<Lease>;
  drain(drain: boolean, end: boolean): Promise<Overview>;
}

/** Milliseconds without a byte after which a stream counts as dead; the server sends a comment more often. */
const SILENCE = 45_000;
/** Pausing and ending wait for Docker. */
const PATIENCE = 40_000;

export function createLeaseApi(base = "/api"): LeaseApi {
  return {
    scenarios: (signal) => ask(`${base}/scenarios`, schemas.scenarios, { signal }),
    register: (username, key) =>
      ask(`${base}/users`, schemas.userMade, { method: "POST", body: { username }, headers: { "Idempotency-Key": key } }),
    as: (caller) => createLeaseClient(caller, base),
  };
}

function createLeaseClient(caller: Caller, base: string): LeaseClient {
  const headers = headersOf(caller);
  const call = (more: Call = {}): Call => ({ ...more, headers: { ...headers, ...more.headers } });
  const at = (id: string, doing = ""): string => `${base}/containers/${encodeURIComponent(id)}${doing}`;
  const change = (id: string, doing: string): Promise<Lease> =>
    ask(at(id, doing), schemas.container, call({ method: "POST", patience: PATIENCE }));
  return {
    caller,
    me: (signal) => ask(`${base}/users/me`, schemas.me, call({ signal })),
    provision: (asked, key) =>
      ask(`${base}/provision`, schemas.container, call({ method: "POST", body: asked, headers: { "Idempotency-Key": key } })),
    list: ({ everyone, ended, cursor }, signal) => {
      const query = new URLSearchParams({ limit: "200" });
      if (everyone) query.set("all", "true");
      if (ended) query.set("ended", "true");
      if (cursor) query.set("cursor", cursor);
      return ask(`${base}/containers?${query}`, schemas.page, call({ signal }));
    },
    show: (id, signal) => ask(at(id), schemas.container, call({ signal })),
    extend: (id, minutes, key) =>
      ask(at(id, "/extend"), schemas.container, call({ method: "POST", body: { minutes }, headers: { "Idempotency-Key": key } })),
    pause: (id) => change(id, "/pause"),
    resume: (id) => change(id, "/resume"),
    remove: async (id) => {
      await send(at(id), call({ method: "DELETE", patience: PATIENCE }));
    },
    session: (id) => ask(at(id, "/session"), schemas.opened, call({ method: "POST" })),
    events: async ({ everyone }, after, tell, begun, signal) => {
      const more: Record<string, string> = { Accept: "text/event-stream" };
      if (after) more["Last-Event-ID"] = after;
      const request: RequestInit = { headers: { ...headers, ...more }, cache: "no-store", credentials: "same-origin", signal };
      let response: Response;
      try {
        response = await fetch(`${base}/events${everyone ? "?everyone=true" : ""}`, request);
      } catch (error) {
        if (signal.aborted) throw error;
        throw silent(error);
      }
      if (!response.ok) throw await refused(response);
      begun();
      await readEvents(response, SILENCE, ({ data, id }) => {
        const event = schemas.event.safeParse(json(data));
        if (event.success) tell(event.data, id);
      });
    },
    logs: (id, role, after) => logsAt(caller, id, role, after),
    overview: (signal) => ask(`${base}/leases/overview`, schemas.overview, call({ signal })),
    deadLetters: (signal) => ask(`${base}/leases/dead-letters`, schemas.page, call({ signal })),
    retry: (id) => ask(`${base}/leases/${encodeURIComponent(id)}/retry`, schemas.container, call({ method: "POST" })),
    drain: (drain, end) => ask(`${base}/leases/drain`, schemas.overview, call({ method: "POST", body: { drain, end } })),
  };
}

function headersOf(caller: Caller): Record<string, string> {
  if (caller.access === "open") return { "X-Berth-User": caller.username };
  if (caller.access === "token") return { Authorization: `Bearer ${caller.token}` };
  return {};
}

/** A browser cannot send headers with a WebSocket: a token goes as an offered protocol, a name in the query. */
function logsAt(caller: Caller, id: string, role: string, after: string | null): { url: string; protocols: string[] } {
  const url = new URL(`/ws/logs/${encodeURIComponent(id)}`, location.href);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  url.searchParams.set("role", role);
  if (after) url.searchParams.set("after", after);
  if (caller.access === "open") url.searchParams.set("username", caller.username);
  return { url: url.href, protocols: caller.access === "token" ? ["berth", `bearer.${caller.token}`] : ["berth"] };
}

/** The value of a JSON text; undefined where it is none. */
export function json(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
