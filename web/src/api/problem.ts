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

const advice: Record<string, string> = {
  "not-holder": "Choose a pass that this account holds, or switch the wallet to the account that holds it and sign in again.",
  "key-taken": "Start again: this page then makes a new key.",
  "key-of-node": "Start again: this page then makes a new key.",
  "key-zero": "Start again: this page then makes a new key.",
  "key-low-order": "Start again: this page then makes a new key.",
  "pass-expired": "Renew the pass, or choose another.",
  "signature-invalid": "Check that the wallet is on the account that you signed in with, then start again.",
  "signature-stale": "Another request of this account came in between. Start again.",
  "signature-expired": "The signature came too late. Start again and sign within a few minutes.",
  "counterfactual-wallet": "Deploy the smart wallet with any transaction first, then start again.",
  "proof-invalid": "Reload the page and start again.",
  "challenge-unknown": "The signature came too late. Start again and sign within a few minutes.",
  "too-many-slots": "All tunnel addresses are in use: ask whoever runs this network to make the tunnel's subnet larger.",
  "no-binding": "The device is gone already. Nothing is left to do.",
  "relay-busy": "Wait a minute, then start again.",
  "relay-poor": "The relay cannot pay for gas: tell whoever runs this network. Registering from your own account works meanwhile.",
  "rate-limited": "Wait a little, then try again.",
  "chain-unreachable": "The chain does not answer just now. Try again in a minute.",
  "signed-out": "Sign in again.",
  "session-expired": "Sign in again.",
  "no-answer": "Check your connection. The page tries again by itself where it can.",
  "odd-answer": "Reload the page: it may be older than the server. If that does not help, tell whoever runs this network.",
};

/** What to do about a problem of this cause; by its status where the cause is new to the page. */
export function adviceFor(reason: string, status: number, retryAfter?: number): string {
  if (retryAfter !== undefined && retryAfter > 0) return `Try again in ${retryAfter} s.`;
  const known = advice[reason];
  if (known !== undefined) return known;
  if (status === 401) return "Sign in again.";
  if (status === 429) return "Wait a little, then try again.";
  if (status >= 500 || status === 0) return "Try again in a minute. If it stays so, tell whoever runs this network.";
  return "Start again. If it stays so, tell whoever runs this network.";
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
