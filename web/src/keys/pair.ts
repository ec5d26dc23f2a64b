/** The device's WireGuard key pair.  It is made here, and its private half goes into the file for the device only. */
import { x25519 } from "@noble/curves/ed25519.js";
import { hmac } from "@noble/hashes/hmac.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { concatBytes, utf8ToBytes } from "@noble/hashes/utils.js";
import { fromBase64, toBase64, tokenBytes } from "./bytes";

/** Both in base64, as WireGuard writes them. */
export interface KeyPair {
  readonly publicKey: string;
  readonly privateKey: string;
}

export interface Challenge {
  /** The server's X25519 public key of this challenge, base64. */
  serverKey: string;
  /** Base64. */
  nonce: string;
}

const LABEL = utf8ToBytes("berth key possession v1");

export function makePair(): KeyPair {
  const secret = crypto.getRandomValues(new Uint8Array(32));
  // As `wg genkey` does, so that the text of the key is the key that is used (RFC 7748, section 5).
  secret[0] = (secret[0] ?? 0) & 248;
  secret[31] = ((secret[31] ?? 0) & 127) | 64;
  return pairOf(toBase64(secret));
}

/** Errors: when `privateKey` is not 32 bytes of base64. */
export function pairOf(privateKey: string): KeyPair {
  return { privateKey, publicKey: toBase64(x25519.getPublicKey(fromBase64(privateKey))) };
}

/**
 * Shows the server that the private key of `pair` is here, without telling it: an HMAC under the secret that this key
 * and the server's key of the moment share.  A curve key cannot sign, so this is how possession is proved.
 * Errors: when the server's key is of low order (the shared secret would be zero, whatever the private key).
 */
export function possessionProof(pair: KeyPair, token: string, challenge: Challenge): string {
  const shared = x25519.getSharedSecret(fromBase64(pair.privateKey), fromBase64(challenge.serverKey));
  const message = concatBytes(LABEL, fromBase64(challenge.nonce), tokenBytes(token), fromBase64(pair.publicKey));
  return toBase64(hmac(sha256, shared, message));
}
