/** What the page asks of a wallet, over EIP-1193. */
import type { TypedData } from "../api/schemas";
import { toHex } from "../keys/bytes";
import { WalletTrouble, fromProvider } from "./errors";

export interface Provider {
  request(call: { method: string; params?: readonly unknown[] }): Promise<unknown>;
  on?(event: string, listener: (value: unknown) => void): void;
  removeListener?(event: string, listener: (value: unknown) => void): void;
}

export interface Wallet {
  /** `rdns` of EIP-6963, or `injected` for a wallet that only sets `window.ethereum`. */
  id: string;
  name: string;
  /** A data: URI. */
  icon?: string;
  provider: Provider;
}

const ACCOUNT = /^0x[0-9a-fA-F]{40}$/;
const SIGNATURE = /^0x(?:[0-9a-fA-F]{2})+$/;

/** Asks for an account; the wallet shows itself if it has to.  Errors: {@link WalletTrouble}. */
export async function chooseAccount(wallet: Wallet): Promise<string> {
  const accounts = await ask(wallet, "eth_requestAccounts");
  const first: unknown = Array.isArray(accounts) ? accounts[0] : undefined;
  if (typeof first !== "string" || !ACCOUNT.test(first)) throw new WalletTrouble("no-account", wallet.name);
  return first;
}

/** Makes sure that the wallet knows this page and lets it use `account`.  Errors: {@link WalletTrouble}. */
export async function requireAccount(wallet: Wallet, account: string): Promise<void> {
  const allowed = await ask(wallet, "eth_requestAccounts");
  const found = Array.isArray(allowed) && allowed.some((one) => typeof one === "string" && same(one, account));
  if (!found) throw new WalletTrouble("other-account", wallet.name, account);
}

/** Puts the wallet on the chain; wallets refuse to sign typed data for another.  Errors: {@link WalletTrouble}. */
export async function requireChain(wallet: Wallet, chainId: number, chainName: string): Promise<void> {
  const current = await ask(wallet, "eth_chainId");
  if (typeof current === "string" && Number(current) === chainId) return;
  try {
    await wallet.provider.request({
      method: "wallet_switchEthereumChain",
      params: [{ chainId: `0x${chainId.toString(16)}` }],
    });
  } catch (error) {
    throw fromProvider(error, wallet.name, `${chainName} (chain ${chainId})`);
  }
  const now = await ask(wallet, "eth_chainId");
  if (Number(now) !== chainId) throw new WalletTrouble("wrong-chain", wallet.name, `${chainName} (chain ${chainId})`);
}

/** EIP-191 signature over a text.  Errors: {@link WalletTrouble}. */
export async function signText(wallet: Wallet, account: string, text: string): Promise<string> {
  return signature(wallet, await ask(wallet, "personal_sign", [toHex(new TextEncoder().encode(text)), account]));
}

/** EIP-712 signature.  Errors: {@link WalletTrouble}. */
export async function signTyped(wallet: Wallet, account: string, data: TypedData): Promise<string> {
  return signature(wallet, await ask(wallet, "eth_signTypedData_v4", [account, JSON.stringify(data)]));
}

export function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

async function ask(wallet: Wallet, method: string, params: readonly unknown[] = []): Promise<unknown> {
  try {
    return await wallet.provider.request({ method, params });
  } catch (error) {
    throw fromProvider(error, wallet.name);
  }
}

function signature(wallet: Wallet, value: unknown): string {
  if (typeof value === "string" && SIGNATURE.test(value)) return value;
  throw new WalletTrouble("no-signature", wallet.name);
}
