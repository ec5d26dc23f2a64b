/** Which wallets this browser has: EIP-6963, and `window.ethereum` where no wallet announces itself. */
import { useSyncExternalStore } from "react";
import type { Provider, Wallet } from "./provider";

declare global {
  interface Window {
    ethereum?: unknown;
  }
}

/** How long announcements are waited for before "no wallet" is said, in milliseconds. */
const SETTLE = 400;

export interface Found {
  wallets: readonly Wallet[];
  /** Whether wallets had the time to announce themselves. */
  settled: boolean;
}

export class WalletFinder {
  #found: Found = { wallets: [], settled: false };
  readonly #listeners = new Set<() => void>();
  #started = false;

  readonly subscribe = (listener: () => void): (() => void) => {
    this.#listeners.add(listener);
    this.#start();
    return () => this.#listeners.delete(listener);
  };

  readonly current = (): Found => this.#found;

  #start(): void {
    if (this.#started) return;
    this.#started = true;
    window.addEventListener("eip6963:announceProvider", (event) => {
      const wallet = announced((event as CustomEvent<unknown>).detail);
      if (!wallet) return;
      const others = this.#found.wallets.filter((one) => one.id !== wallet.id && one.id !== "injected");
      this.#set({ ...this.#found, wallets: [...others, wallet].toSorted((a, b) => a.name.localeCompare(b.name)) });
    });
    window.dispatchEvent(new Event("eip6963:requestProvider"));
    window.setTimeout(() => {
      const wallets =
        this.#found.wallets.length === 0 && isProvider(window.ethereum)
          ? [{ id: "injected", name: "Browser wallet", provider: window.ethereum }]
          : this.#found.wallets;
      this.#set({ wallets, settled: true });
    }, SETTLE);
  }

  #set(found: Found): void {
    this.#found = found;
    for (const listener of this.#listeners) listener();
  }
}

export function useWallets(finder: WalletFinder): Found {
  return useSyncExternalStore(finder.subscribe, finder.current);
}

function announced(detail: unknown): Wallet | null {
  if (typeof detail !== "object" || detail === null || !("info" in detail) || !("provider" in detail)) return null;
  const { info, provider } = detail as { info: unknown; provider: unknown };
  if (typeof info !== "object" || info === null || !isProvider(provider)) return null;
  const { rdns, uuid, name, icon } = info as Record<string, unknown>;
  const id = typeof rdns === "string" && rdns ? rdns : uuid;
  if (typeof id !== "string" || typeof name !== "string") return null;
  const wallet = { id, name: name.slice(0, 60), provider };
  // An icon from elsewhere would tell that place who opened this page.
  return typeof icon === "string" && icon.startsWith("data:image/") ? { ...wallet, icon } : wallet;
}

function isProvider(value: unknown): value is Provider {
  return typeof value === "object" && value !== null && typeof (value as { request?: unknown }).request === "function";
}
