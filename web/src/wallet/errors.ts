/** What wallets refuse, by the codes of EIP-1193, EIP-1474 and EIP-3326. */
import type { Trouble } from "../api/problem";

export type WalletReason =
  | "rejected"
  | "unauthorized"
  | "unsupported"
  | "disconnected"
  | "unknown-chain"
  | "wrong-chain"
  | "pending"
  | "locked"
  | "no-account"
  | "other-account"
  | "no-signature"
  | "failed";

export class WalletTrouble extends Error {
  readonly reason: WalletReason;
  readonly trouble: Trouble;

  /** `about`: the chain, account or message that the reason is about. */
  constructor(reason: WalletReason, wallet: string, about = "", options?: ErrorOptions) {
    const trouble = texts[reason](wallet, about);
    super(trouble.what, options);
    this.name = "WalletTrouble";
    this.reason = reason;
    this.trouble = trouble;
  }
}

const texts: Record<WalletReason, (wallet: string, about: string) => Trouble> = {
  rejected: (wallet) => ({
    what: "You declined in the wallet.",
    why: `${wallet} was asked and the request was turned down. Nothing has changed.`,
    todo: "Start again when you are ready.",
  }),
  unauthorized: (wallet) => ({
    what: "The wallet does not let this page use the account.",
    todo: `Open ${wallet}, connect it to this site with the account that you signed in with, then start again.`,
  }),
  unsupported: (wallet) => ({
    what: `${wallet} cannot do this.`,
    why: "The page needs personal_sign and eth_signTypedData_v4.",
    todo: "Use another wallet, or berth connect in a terminal.",
  }),
  disconnected: (wallet) => ({
    what: `${wallet} is not connected to its network.`,
    todo: "Check the wallet's connection, then start again.",
  }),
  "unknown-chain": (wallet, chain) => ({
    what: `${wallet} does not know the network ${chain}.`,
    why: "The signature is only good for the chain that holds the passes.",
    todo: "Add this network to the wallet, then start again.",
  }),
  "wrong-chain": (wallet, chain) => ({
    what: `${wallet} is on another network.`,
    why: `The signature is only good for ${chain}.`,
    todo: `Switch ${wallet} to ${chain}, then start again.`,
  }),
  pending: (wallet) => ({
    what: `${wallet} is still waiting for an answer.`,
    why: "An earlier request is open there.",
    todo: `Open ${wallet} and answer it, then start again.`,
  }),
  locked: (wallet) => ({
    what: `${wallet} is locked.`,
    todo: `Open ${wallet} and unlock it, then start again.`,
  }),
  "no-account": (wallet) => ({
    what: `${wallet} gave no account.`,
    todo: "Make or choose an account in the wallet, then start again.",
  }),
  "other-account": (wallet, account) => ({
    what: `${wallet} is on another account.`,
    why: `You signed in as ${account}.`,
    todo: "Switch the wallet to that account, or sign out and sign in with the other one.",
  }),
  "no-signature": (wallet) => ({
    what: `${wallet} answered without a signature.`,
    todo: "Start again, or use another wallet.",
  }),
  failed: (wallet, message) => ({
    what: `${wallet} could not do this.`,
    ...(message ? { why: message } : {}),
    todo: "Start again. If it stays so, restart the wallet.",
  }),
};

const reasons: Record<number, WalletReason> = {
  4001: "rejected",
  4100: "unauthorized",
  4200: "unsupported",
  [-32601]: "unsupported",
  4900: "disconnected",
  4901: "disconnected",
  4902: "unknown-chain",
  [-32002]: "pending",
};

/** A wallet's error as ours.  Some wallets wrap the real code (EIP-1474's -32603 around 4902). */
export function fromProvider(error: unknown, wallet: string, about?: string): WalletTrouble {
  const code = codeOf(error);
  const reason = code === undefined ? undefined : reasons[code];
  const message = messageOf(error);
  if (reason) return new WalletTrouble(reason, wallet, about, { cause: error });
  if (/user (rejected|denied)/i.test(message)) return new WalletTrouble("rejected", wallet, about, { cause: error });
  if (/unlock|locked/i.test(message)) return new WalletTrouble("locked", wallet, about, { cause: error });
  return new WalletTrouble("failed", wallet, message, { cause: error });
}

function codeOf(error: unknown): number | undefined {
  if (typeof error !== "object" || error === null) return undefined;
  const { code, data } = error as { code?: unknown; data?: { originalError?: { code?: unknown } } };
  const inner = data?.originalError?.code;
  if (typeof inner === "number") return inner;
  return typeof code === "number" ? code : undefined;
}

function messageOf(error: unknown): string {
  if (typeof error === "object" && error !== null && "message" in error) return String(error.message);
  return typeof error === "string" ? error : "";
}
