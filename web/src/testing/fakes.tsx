/** A server and a wallet in memory, for tests of components; the real ones are met in tests/browser. */
import { cleanup, render } from "@testing-library/react";
import userEvent, { type UserEvent } from "@testing-library/user-event";
import { x25519 } from "@noble/curves/ed25519.js";
import { afterEach } from "vitest";
import { App } from "../App";
import type { Client, NewDevice } from "../api/client";
import type { Config, Device, Health, Pass, Session, TypedData, VpnNode } from "../api/schemas";
import { fromBase64, toBase64, toHex } from "../keys/bytes";
import { KeyRing } from "../keys/keep";
import { possessionProof } from "../keys/pair";
import type { Services } from "../services";
import { WalletFinder } from "../wallet/discovery";
import type { Provider } from "../wallet/provider";
import { FakeLeases } from "./leases";
import { ACCOUNT, REGISTRY, config, device, node } from "./given";
import { refusal } from "./refusal";

export { refusal };

/** Does what the access API promises, as far as the page can tell. */
export class FakeServer implements Client {
  signedIn: Session | null = null;
  expiresAt = Date.now() / 1000 + 3600;
  given: Config = config();
  held: Pass[] = [];
  bound: Device[] = [];
  offeredNodes: VpnNode[] = [node("node-1"), node("node-2")];
  state: Health = { status: "ok", checks: {} };
  /** What the next call of that name throws, once. */
  readonly fail = new Map<keyof Client, Error>();
  /** Whether registered devices are let in at once. */
  letIn = true;
  /** Changes what is to be signed, as a server that lies would. */
  twist: (data: TypedData) => TypedData = (data) => data;
  readonly registrations: NewDevice[] = [];
  readonly #secret = x25519.utils.randomSecretKey();
  readonly #nonce = toBase64(new Uint8Array(32).fill(7));

  config = async (): Promise<Config> => this.#answer("config", this.given);
  nonce = async (address: string) =>
    this.#answer("nonce", { message: `sign in as ${address}`, nonce: "n1", expiresAt: this.expiresAt });
  signIn = async (): Promise<Session> => {
    this.#answer("signIn", null);
    this.signedIn = { address: ACCOUNT, expiresAt: this.expiresAt };
    return this.signedIn;
  };
  session = async (): Promise<Session> => this.#member("session", this.signedIn as Session);
  signOut = async (): Promise<void> => {
    this.#member("signOut", null);
    this.signedIn = null;
  };
  passes = async (): Promise<Pass[]> => this.#member("passes", [...this.held]);
  startRegistration = async (token: string, key: string) =>
    this.#member("startRegistration", {
      typedData: this.twist(typed("Register", { tokenId: token, publicKey: toHex(fromBase64(key)), nonce: "0", deadline: "99" })),
      deadline: 99,
      challenge: { id: "c1", serverKey: toBase64(x25519.getPublicKey(this.#secret)), nonce: this.#nonce, expiresAt: this.expiresAt },
    });
  register = async (asked: NewDevice) => {
    this.#member("register", null);
    // The secret that both sides share, from the server's side.
    const proof = possessionProof(
      { privateKey: toBase64(this.#secret), publicKey: asked.key },
      asked.token,
      { serverKey: asked.key, nonce: this.#nonce },
    );
    if (asked.proof !== proof) throw refusal(422, "proof-invalid");
    this.registrations.push(asked);
    this.held = this.held.map((pass) => (pass.token === asked.token ? { ...pass, registered: true, key: asked.key, address: "10.99.0.2" } : pass));
    this.bound = [device(asked.token, asked.key, { status: this.letIn ? "active" : "pending" })];
    return { token: asked.token, key: asked.key, address: "10.99.0.2", address6: "fd00::2", transaction: "0x01" };
  };
  devices = async (): Promise<Device[]> => this.#member("devices", [...this.bound]);
  startRevocation = async (token: string) =>
    this.#member("startRevocation", { typedData: this.twist(typed("Revoke", { tokenId: token, nonce: "1", deadline: "99" })), deadline: 99 });
  revoke = async (token: string) => {
    this.#member("revoke", null);
    this.bound = this.bound.filter((one) => one.token !== token);
    return { transaction: "0x02" };
  };
  nodes = async (): Promise<VpnNode[]> => this.#member("nodes", [...this.offeredNodes]);
  health = async (): Promise<Health> => this.#answer("health", this.state);

  #answer<T>(name: keyof Client, value: T): T {
    const error = this.fail.get(name);
    this.fail.delete(name);
    if (error) throw error;
    return value;
  }

  #member<T>(name: keyof Client, value: T): T {
    if (!this.signedIn) throw refusal(401, "signed-out");
    return this.#answer(name, value);
  }
}

function typed(primaryType: string, message: Record<string, unknown>): TypedData {
  return { domain: { name: "berth KeyRegistry", version: "1", chainId: 31337, verifyingContract: REGISTRY }, types: {}, primaryType, message };
}

/** Signs nothing really; `answers` overrides a method. */
export class FakeWallet implements Provider {
  readonly asked: string[] = [];
  chain = 31337;
  answers: Record<string, () => unknown> = {};

  request = async ({ method }: { method: string }): Promise<unknown> => {
    this.asked.push(method);
    const own = this.answers[method];
    if (own) return own();
    if (method === "eth_requestAccounts") return [ACCOUNT];
    if (method === "eth_chainId") return `0x${this.chain.toString(16)}`;
    return "0x1234";
  };
}

export function codeError(code: number, message = "no"): Error {
  return Object.assign(new Error(message), { code });
}

export interface Scene {
  server: FakeServer;
  leases: FakeLeases;
  wallet: FakeWallet;
  user: UserEvent;
  latencies: Map<string, number | null>;
  keys: KeyRing;
}

/** What the page has: set it up, then {@link open}. */
export function scene(): Scene {
  const latencies = new Map<string, number | null>([["/nodes/node-1/ping", 5], ["/nodes/node-2/ping", 50]]);
  return { server: new FakeServer(), leases: new FakeLeases(), wallet: new FakeWallet(), user: userEvent.setup(), latencies, keys: new KeyRing(localStorage) };
}

const announcing = new AbortController();
let current: AbortController = announcing;
afterEach(() => {
  cleanup();
  current.abort();
  localStorage.clear();
  sessionStorage.clear();
});

export function open(it: Scene, path = "/connect", wallets: readonly string[] = ["Fake wallet"]): void {
  window.history.replaceState(null, "", path);
  current = new AbortController();
  window.addEventListener(
    "eip6963:requestProvider",
    () => {
      for (const name of wallets) {
        const info = { rdns: `test.${name}`, uuid: name, name, icon: "https://elsewhere.example/icon.png" };
        window.dispatchEvent(new CustomEvent("eip6963:announceProvider", { detail: { info, provider: it.wallet } }));
      }
    },
    { signal: current.signal },
  );
  const services: Services = {
    client: it.server,
    leases: it.leases,
    finder: new WalletFinder(),
    keys: it.keys,
    measure: async (url) => it.latencies.get(url) ?? null,
  };
  render(<App services={services} />);
}
