/** What Connect does with server and wallet, step by step, apart from how it looks. */
import type { Client } from "../../api/client";
import { Problem } from "../../api/problem";
import type { Config, Device, TypedData } from "../../api/schemas";
import { fromBase64, toHex } from "../../keys/bytes";
import { type KeyPair, possessionProof } from "../../keys/pair";
import { pause } from "../../parts/pause";
import { type Wallet, requireAccount, requireChain, same, signTyped } from "../../wallet/provider";

export const STEPS = ["key", "sign", "relay", "node"] as const;
export type Step = (typeof STEPS)[number];

export interface Signer {
  client: Client;
  wallet: Wallet;
  /** The account that is signed in. */
  account: string;
  config: Config;
}

/**
 * Has a key registered for the pass, up to the chain's word for it.  The nodes follow: see {@link arrival}.
 * Errors: Problem, WalletTrouble.
 */
export async function registerDevice(
  signer: Signer,
  token: string,
  pair: KeyPair,
  onStep: (step: Step) => void,
): Promise<void> {
  const { client, wallet, account, config } = signer;
  onStep("key");
  const asked = await client.startRegistration(token, pair.publicKey);
  requireRequest(asked.typedData, "Register", config, { tokenId: token, publicKey: toHex(fromBase64(pair.publicKey)) });
  const proof = possessionProof(pair, token, asked.challenge);
  onStep("sign");
  await requireAccount(wallet, account);
  await requireChain(wallet, config.chainId, config.chainName);
  const signature = await signTyped(wallet, account, asked.typedData);
  onStep("relay");
  const done = await client.register({
    token,
    key: pair.publicKey,
    deadline: asked.deadline,
    signature,
    challenge: asked.challenge.id,
    proof,
  });
  if (done.key !== pair.publicKey) throw mismatch("another key was registered than the one made here");
  onStep("node");
}

/** Ends the registration of a pass.  Errors: Problem, WalletTrouble. */
export async function revokeDevice(signer: Signer, token: string): Promise<void> {
  const { client, wallet, account, config } = signer;
  const asked = await client.startRevocation(token);
  requireRequest(asked.typedData, "Revoke", config, { tokenId: token });
  await requireAccount(wallet, account);
  await requireChain(wallet, config.chainId, config.chainName);
  const signature = await signTyped(wallet, account, asked.typedData);
  await client.revoke(token, asked.deadline, signature);
}

/**
 * Waits until a node lets the device of this key in.  However long: the chain has it, so it will come.
 * Errors: Problem when the session has ended meanwhile; the signal's reason.
 */
export async function arrival(client: Client, key: string, signal: AbortSignal, every = 1_000): Promise<Device> {
  for (;;) {
    try {
      // oxlint-disable-next-line no-await-in-loop
      const devices = await client.devices(signal);
      const device = devices.find((one) => one.key === key && one.status === "active");
      if (device) return device;
    } catch (error) {
      // Any other failure may pass.
      if (signal.aborted || (error instanceof Problem && error.signedOut)) throw error;
    }
    // oxlint-disable-next-line no-await-in-loop
    await pause(every, signal);
    signal.throwIfAborted();
  }
}

/** The server writes what is signed, so it is held to what was asked for before the wallet sees it. */
export function requireRequest(data: TypedData, kind: string, config: Config, wanted: Record<string, string>): void {
  if (data.primaryType !== kind) throw mismatch(`it asks for ${data.primaryType}, not ${kind}`);
  if (data.domain.chainId !== config.chainId) throw mismatch(`it is for chain ${data.domain.chainId}`);
  if (!same(data.domain.verifyingContract, config.keyRegistry)) throw mismatch("it is for another contract");
  for (const [name, value] of Object.entries(wanted)) {
    if (String(data.message[name]).toLowerCase() !== value.toLowerCase()) throw mismatch(`its ${name} differs`);
  }
}

function mismatch(why: string): Problem {
  return new Problem(200, "odd-answer", {
    what: "The server's request is not the one that was asked for, so it was not signed.",
    why: `What differs: ${why}.`,
    todo: "Reload the page and start again. If it stays so, tell whoever runs this network.",
  });
}
