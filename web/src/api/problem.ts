/** Everything that can go wrong, as what a person is told: what happened, why, and what to do. */

export interface Trouble {
  what: string;
  why?: string;
  todo?: string;
}

/** An answer that is not what was asked for, or none at all. */
export class Problem extends Error {
  /** HTTP status; 0 when there was no answer. */
  readonly status: number;
  /** Kebab-case name of the cause, as the access API gives it, or one of ours: `no-answer`, `odd-answer`. */
  readonly reason: string;
  readonly trouble: Trouble;

  constructor(status: number, reason: string, trouble: Trouble, options?: ErrorOptions) {
    super(trouble.what, options);
    this.name = "Problem";
    this.status = status;
    this.reason = reason;
    this.trouble = trouble;
  }

  /** The session has ended, or there never was one. */
  get signedOut(): boolean {
    return this.status === 401;
  }
}

const AGAIN = "Start again: this page then makes a new key.";
const LATE = "Start again, and sign within a few minutes.";
const OPERATOR = "Tell whoever runs this network.";

/** By the API's reason: what happened, and what to do.  Why is the API's own sentence. */
const causes: Record<string, [what: string, todo: string]> = {
  "signed-out": ["You are not signed in.", "Sign in again."],
  "session-expired": ["Your session has ended.", "Sign in again."],
  "nonce-unknown": ["That message was used, or has expired.", "Sign in again."],
  "origin-refused": ["This address of the page is not one that the server knows.", "Open the page at its own address, the one that you were given."],
  "rate-limited": ["That was too often.", "Wait a little, then try again."],
  overloaded: ["Too many people do this just now.", "Wait a little, then try again."],
  "not-holder": ["This account does not hold the pass now.", "Choose another pass, or sign in with the account that holds it."],
  "pass-expired": ["The pass has ended.", "Have it renewed, or choose another."],
  "expiry-unreadable": ["The collection does not say when the pass ends.", "Try again later, or choose another pass."],
  "too-many-slots": ["This pass changed hands too often lately.", "Wait, then start again."],
  "no-binding": ["There is no device for this pass.", "Nothing is left to do: it is gone already."],
  "key-taken": ["This key belongs to another pass.", AGAIN],
  "key-of-node": ["This is the key of a node.", AGAIN],
  "key-zero": ["The contract refuses this key.", AGAIN],
  "key-low-order": ["The contract refuses this key.", AGAIN],
  "key-not-canonical": ["The contract refuses this key.", AGAIN],
  "key-malformed": ["The server does not take this key.", AGAIN],
  "challenge-unknown": ["The proof of the key came too late.", LATE],
  "challenge-mismatch": ["The proof is for another request.", "Start again."],
  "proof-invalid": ["The proof of the key is wrong.", "Reload the page and start again."],
  "signature-invalid": ["The signature is not the one that was asked for.", "Check that the wallet is on the account that you signed in with, then start again."],
  "signature-expired": ["The signature came too late.", LATE],
  "signature-stale": ["Another request of this account came first.", "Start again and sign anew."],
  "signature-oversize": ["The wallet's signature is too long.", "Use another wallet."],
  "counterfactual-wallet": ["This smart wallet is not deployed yet.", "Make any transaction with it first, then start again."],
  "relay-busy": ["The relay is busy.", "Wait a minute, then start again."],
  "relay-poor": ["The relay cannot pay for gas.", `${OPERATOR} Registering on chain from your own account works meanwhile.`],
  "relay-too-dear": ["Gas costs more just now than the relay may pay.", "Start again later."],
  "not-mined": ["It was sent, but the chain has not taken it yet.", "Look at your devices in a minute before you start again."],
  "contract-refused": ["The contract refuses it.", `Start again. If it stays so: ${OPERATOR.toLowerCase()}`],
  "history-incomplete": ["The server is still reading the chain.", "Try again in a moment."],
  malformed: ["The server does not take this.", "Change it, then try again."],
  "not-found": ["That lease is not there.", "It has ended, or it is somebody else's."],
  "token-unknown": ["Your API token does not count any more.", "Register again, or enter the token that does."],
  "not-entitled": ["You hold no pass that counts now.", "Sign in with the account that holds one, or have yours renewed."],
  "not-admin": ["This is for operators.", "Enter the stack's admin token."],
  "username-taken": ["That name is somebody's.", "Choose another."],
  "username-reserved": ["That name is kept for the system.", "Choose another."],
  "wallet-taken": ["This wallet is registered under another name.", "Use that name: the wallet gets it a new token."],
  "scenario-unknown": ["There is no such scenario any more.", "Reload the page and choose another."],
  "duration-out-of-range": ["That time is not on offer.", "Choose another."],
  "exposure-unavailable": ["That way in is not on offer here.", "Choose the other."],
  "quota-full": ["All places are taken.", "Try again when a lease has ended."],
  "user-quota-full": ["You have as many leases as one may have.", "End one, then ask again."],
  draining: ["No new leases are given just now.", `${OPERATOR.replace("Tell", "Ask")} What runs goes on.`],
  "idempotency-mismatch": ["This was asked for already, but otherwise.", "Try again."],
  exists: ["There is one already.", "Use it, or end it first."],
  "not-running": ["It does not run.", "Look at its state; resume it if it is paused."],
  "not-paused": ["It is not paused.", "Nothing is left to do."],
  ending: ["It is ending already.", "Ask for a new one."],
  "limit-reached": ["It cannot live for longer.", "Ask for a new one before this one ends."],
  "no-subnet": ["There is no room for another network of containers.", "Try again when a lease has ended."],
  unavailable: ["The lease manager cannot do this just now.", "Try again in a minute. What runs goes on."],
  "chain-unreachable": ["The chain does not answer just now.", "Try again in a minute. Nothing was sent."],
};

/** A refusal in the words of the page; by its status where the cause is new to it. */
export function explain(status: number, reason: string, detail: string | undefined, retryAfter?: number): Trouble {
  const known = causes[reason];
  const what = known?.[0] ?? (status >= 500 ? "The server cannot do this just now." : "The server refuses this.");
  const wait = retryAfter !== undefined && retryAfter > 1 ? ` Earliest in ${Math.ceil(retryAfter)} s.` : "";
  const why = detail ? sentence(detail) : known ? undefined : `It answered with status ${status}.`;
  return { what, ...(why ? { why } : {}), todo: (known?.[1] ?? byStatus(status)) + wait };
}

function byStatus(status: number): string {
  if (status === 401) return "Sign in again.";
  if (status === 429) return "Wait a little, then try again.";
  if (status >= 500) return `Try again in a minute. If it stays so: ${OPERATOR.toLowerCase()}`;
  return `Start again. If it stays so: ${OPERATOR.toLowerCase()}`;
}

function sentence(text: string): string {
  const whole = text.charAt(0).toUpperCase() + text.slice(1);
  return /[.!?]$/.test(whole) ? whole : `${whole}.`;
}

/** Any error as what is shown of it. */
export function toTrouble(error: unknown): Trouble {
  if (error instanceof Error && "trouble" in error) return (error as Error & { trouble: Trouble }).trouble;
  return {
    what: "Something went wrong on this page.",
    why: error instanceof Error ? error.message : String(error),
    todo: "Reload the page and try again.",
  };
}
