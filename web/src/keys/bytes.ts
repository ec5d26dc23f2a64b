/** Bytes as base64 and hexadecimal text, and back. */

export function toBase64(bytes: Uint8Array): string {
  return btoa(String.fromCharCode(...bytes));
}

/** Errors: DOMException for what is no base64. */
export function fromBase64(text: string): Uint8Array {
  return Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
}

export function toHex(bytes: Uint8Array): string {
  return `0x${Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("")}`;
}

/** A token id as the 32 bytes, big-endian, that a contract sees. */
export function tokenBytes(token: string): Uint8Array {
  const digits = BigInt(token).toString(16).padStart(64, "0");
  if (digits.length > 64) throw new RangeError(`token ${token} does not fit into 256 bits`);
  return Uint8Array.from({ length: 32 }, (_, i) => Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16));
}
