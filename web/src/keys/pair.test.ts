import { describe, expect, it } from "vitest";
import { fromBase64, toBase64, tokenBytes } from "./bytes";
import { makePair, pairOf, possessionProof } from "./pair";

// Computed with Python's cryptography and hmac, from the same inputs.
const mine = "UEoKS/e9+GuCb62l9HMGTSpEFmmHOAzt26Qki5MX3lA=";
const publicKey = "Y/gM+4WYmuUGyNNsP9s7zjJMGdJvH/DSO+DKYQjMdHw=";
const challenge = { serverKey: "ek9EXiAqEqete8+z9pMa/xk8dgfu4MeRVi+8K4nHV2c=", nonce: "eDd7UldXtJRCf4kBT5fXmSjzk40U61HiD7XeyYNOswQ=" };
const token = "1606938044258990275541962092341162602522202993782792835301383";

describe("a key pair", () => {
  it("has the public key that WireGuard derives", () => {
    expect(pairOf(mine).publicKey).toBe(publicKey);
    // RFC 7748, section 6.1.
    expect(pairOf("dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo=").publicKey).toBe(
      "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=",
    );
  });

  it("is another one each time, clamped as wg genkey clamps", () => {
    const pairs = Array.from({ length: 32 }, makePair);
    expect(new Set(pairs.map((pair) => pair.privateKey)).size).toBe(32);
    for (const pair of pairs) {
      const bytes = fromBase64(pair.privateKey);
      expect(bytes).toHaveLength(32);
      expect((bytes[0] ?? 255) & 7).toBe(0);
      expect((bytes[31] ?? 0) & 192).toBe(64);
    }
  });
});

describe("the proof of possession", () => {
  it("is what the server computes", () => {
    expect(possessionProof(pairOf(mine), token, challenge)).toBe("mlp0Neyn5YUWOJ+qc/EraDcXDPBfaMqtJ11kRs07JWk=");
  });

  it("is the server's known answer, which its own tests hold too", () => {
    const given = { serverKey: pairOf("ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=").publicKey, nonce: "QEFCQ0RFRkdISUpLTE1OT1BRUlNUVVZXWFlaW1xdXl8=" };
    const proof = possessionProof(pairOf("AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="), "258", given);
    expect(proof).toBe("C8gBQTmsx5LVz26g6iPaAWXZpx9s7QRUlQ37HNQTYY4=");
  });

  it("is another for another token, nonce or key", () => {
    const proof = possessionProof(pairOf(mine), token, challenge);
    expect(possessionProof(pairOf(mine), "7", challenge)).not.toBe(proof);
    expect(possessionProof(pairOf(mine), token, { ...challenge, nonce: mine })).not.toBe(proof);
    expect(possessionProof(makePair(), token, challenge)).not.toBe(proof);
  });

  it("is refused to a server key of low order", () => {
    const zero = toBase64(new Uint8Array(32));
    expect(() => possessionProof(pairOf(mine), token, { ...challenge, serverKey: zero })).toThrow(/./);
  });
});

describe("a token's bytes", () => {
  it("are 32, big-endian", () => {
    expect(tokenBytes("258").slice(-2)).toEqual(Uint8Array.of(1, 2));
    expect(tokenBytes("0")).toEqual(new Uint8Array(32));
    expect(tokenBytes(String(2n ** 256n - 1n))).toEqual(new Uint8Array(32).fill(255));
    expect(() => tokenBytes(String(2n ** 256n))).toThrow(RangeError);
  });
});
