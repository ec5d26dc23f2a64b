/** The access API and the gateway's health, typed: each answer is checked before anything uses it. */
import { ask, send } from "./http";
import * as schemas from "./schemas";
import type { Config, Device, Health, Nonce, Pass, Registered, Registration, Revocation, Session, VpnNode } from "./schemas";

/** Milliseconds.  The relay waits for the chain. */
const RELAY_PATIENCE = 90_000;

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
