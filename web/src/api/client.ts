/** The access API and the gateway's health, typed: each answer is checked before anything uses it. */
import type * as z from "zod";
import { Problem, explain } from "./problem";
import * as schemas from "./schemas";
import type { Config, Device, Health, Nonce, Pass, Registered, Registration, Revocation, Session, VpnNode } from "./schemas";

/** Milliseconds.  The relay waits for the chain. */
const PATIENCE = 15_000;
const RELAY_PATIENCE = 90_000;

interface Call {
  method?: "GET" | "POST" | "DELETE";
  body?: unknown;
  patience?: number;
  signal?: AbortSignal | undefined;
  /** Statuses beside 2xx whose body is an answer all the same. */
  also?: number[];
}

export interface NewDevice {
  token: string;
  key: string;
  deadline: number | string;
  signature: string;
  challenge: string;
  proof: string;
}

/** Every method throws {@link Problem}, or the signal's reason when it was aborted from outside. */
export interface Client {
  config(signal?: AbortSignal): Promise<Config>;
  nonce(address: string): Promise<Nonce>;
  signIn(nonce: string, signature: string): Promise<Session>;
  session(signal?: AbortSignal): Promise<Session>;
  signOut(): Promise<void>;
  passes(signal?: AbortSignal): Promise<Pass[]>;
  startRegistration(token: string, key: string): Promise<Registration>;
  register(device: NewDevice): Promise<Registered>;
  devices(signal?: AbortSignal): Promise<Device[]>;
  startRevocation(token: string): Promise<Revocation>;
  revoke(token: string, deadline: number | string, signature: string): Promise<{ transaction: string }>;
  nodes(signal?: AbortSignal): Promise<VpnNode[]>;
  health(signal?: AbortSignal): Promise<Health>;
}

export function createClient(base = "/api/access"): Client {
  return {
    config: (signal) => ask(`${base}/config`, schemas.config, { signal }),
    nonce: (address) => ask(`${base}/nonce`, schemas.nonce, { method: "POST", body: { address } }),
    signIn: (nonce, signature) =>
      ask(`${base}/session`, schemas.session, { method: "POST", body: { nonce, signature, transport: "cookie" } }),
    session: (signal) => ask(`${base}/session`, schemas.session, { signal }),
    signOut: async () => {
      await send(`${base}/session`, { method: "DELETE" });
    },
    passes: async (signal) => (await ask(`${base}/passes`, schemas.passes, { signal })).passes,
    startRegistration: (token, key) =>
      ask(`${base}/registrations`, schemas.registration, { method: "POST", body: { token, key } }),
    register: (device) =>
      ask(`${base}/devices`, schemas.registered, { method: "POST", body: device, patience: RELAY_PATIENCE }),
    devices: async (signal) => (await ask(`${base}/devices`, schemas.devices, { signal })).devices,
    startRevocation: (token) => ask(`${base}/revocations`, schemas.revocation, { method: "POST", body: { token } }),
    revoke: (token, deadline, signature) =>
      ask(`${base}/devices/${encodeURIComponent(token)}`, schemas.revoked, {
        method: "DELETE",
        body: { deadline, signature },
        patience: RELAY_PATIENCE,
      }),
    nodes: async (signal) => (await ask(`${base}/nodes`, schemas.nodes, { signal })).nodes,
    // The document is the same when a needed part is down; only its status is 503 then.
    health: (signal) => ask("/health", schemas.health, { signal, also: [503] }),
  };
}

async function ask<T extends z.ZodType>(url: string, schema: T, call: Call): Promise<z.infer<T>> {
  const response = await send(url, call);
  let body: unknown;
  try {
    body = await response.json();
  } catch (error) {
    throw odd(response, "it is not JSON", error);
  }
  const checked = schema.safeParse(body);
  if (checked.success) return checked.data;
  const first = checked.error.issues[0];
  throw odd(response, `${first?.path.join(".") || "the whole"}: ${first?.message ?? "not as expected"}`, checked.error);
}

async function send(url: string, call: Call): Promise<Response> {
  const timeout = AbortSignal.timeout(call.patience ?? PATIENCE);
  const request: RequestInit = {
    method: call.method ?? "GET",
    headers: { Accept: "application/json, application/problem+json" },
    cache: "no-store",
    credentials: "same-origin",
    signal: call.signal ? AbortSignal.any([call.signal, timeout]) : timeout,
  };
  if (call.body !== undefined) {
    request.body = JSON.stringify(call.body);
    request.headers = { ...request.headers, "Content-Type": "application/json" };
  }
  let response: Response;
  try {
    response = await fetch(url, request);
  } catch (error) {
    if (call.signal?.aborted) throw error;
    const why = timeout.aborted ? "It took too long to answer." : "There is no connection to it.";
    const trouble = { what: "The server does not answer.", why, todo: "Check your connection, then try again." };
    throw new Problem(0, "no-answer", trouble, { cause: error });
  }
  if (response.ok || call.also?.includes(response.status)) return response;
  throw await refused(response);
}

async function refused(response: Response): Promise<Problem> {
  const wait = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const parsed = schemas.problem.safeParse(await response.json().catch(() => ({})));
  const told = parsed.success ? parsed.data : {};
  const reason = told.reason ?? `status-${response.status}`;
  const seconds = Number.isFinite(wait) ? wait : undefined;
  return new Problem(response.status, reason, explain(response.status, reason, told.detail ?? told.title, seconds));
}

function odd(response: Response, why: string, cause: unknown): Problem {
  const trouble = {
    what: "The server's answer makes no sense to this page.",
    why: `Answer to ${new URL(response.url || "/", location.href).pathname}: ${why}.`,
    todo: "Reload the page: it may be older than the server. If that does not help, tell whoever runs this network.",
  };
  return new Problem(response.status, "odd-answer", trouble, { cause });
}
