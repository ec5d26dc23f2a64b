/** What the access API and the gateway answer, checked where it comes in.  Times are UNIX seconds. */
import * as z from "zod";

// zod would otherwise try to compile its checks with `new Function`, which the Content-Security-Policy reports.
z.config({ jitless: true });

/** Token ids reach beyond 2^53, so they are decimal strings everywhere in the page. */
const token = z
  .union([z.string().regex(/^\d{1,78}$/), z.number().int().nonnegative()])
  .transform(String);
const account = z.string().regex(/^0x[0-9a-fA-F]{40}$/);
/** A WireGuard key: 32 bytes in base64. */
const key = z.string().regex(/^[A-Za-z0-9+/]{42}[AEIMQUYcgkosw048]=$/);
const hex = z.string().regex(/^0x[0-9a-fA-F]*$/);
const unix = z
  .union([z.number().nonnegative(), z.string().regex(/^\d+$/).transform(Number), z.iso.datetime({ offset: true }).transform((text) => Date.parse(text) / 1000)]);
/** These go into a file that wg-quick reads. */
const ip = z.string().regex(/^[0-9a-fA-F.:]+$/);
const network = z.string().regex(/^[0-9a-fA-F.:]+(\/\d{1,3})?$/);
const count = z.number().nonnegative();

export const config = z.object({
  chainId: z.number().int().positive(),
  chainName: z.string(),
  collection: account,
  keyRegistry: account,
  domain: z.object({
    name: z.string(),
    version: z.string(),
    chainId: z.coerce.number().int(),
    verifyingContract: account,
  }),
  mtu: z.number().int(),
  dns: z.array(ip),
  allowedIps: z.array(network),
  tunnelSubnet: z.string(),
  tunnelSubnet6: z.string().nullish(),
  nodeCount: count,
});

export const nonce = z.object({ message: z.string().min(1), nonce: z.string().min(1), expiresAt: unix });
export const session = z.object({ address: account, expiresAt: unix });

export const passes = z.object({
  passes: z.array(
    z.object({
      token,
      owner: account,
      holder: account.nullish(),
      role: z.enum(["owner", "user", "delegate"]),
      /** Whether this account may register it now: not while it is rented to another. */
      usable: z.boolean().nullish(),
      expires: unix,
      registered: z.boolean(),
      key: key.nullish(),
      address: network.nullish(),
      address6: network.nullish(),
    }),
  ),
});

export const typedData = z.object({
  domain: z.looseObject({ chainId: z.coerce.number().int(), verifyingContract: account }),
  types: z.record(z.string(), z.array(z.object({ name: z.string(), type: z.string() }))),
  primaryType: z.string(),
  message: z.record(z.string(), z.unknown()),
});

/** Passed back as it came; which of both it is does not matter here. */
const deadline = z.union([z.number(), z.string()]);

export const registration = z.object({
  typedData,
  deadline,
  challenge: z.object({ id: z.string().min(1), serverKey: key, nonce: z.base64(), expiresAt: unix }),
});

export const registered = z.object({
  token,
  key,
  address: network.nullish(),
  address6: network.nullish(),
  transaction: hex,
});

export const devices = z.object({
  devices: z.array(
    z.object({
      token,
      key,
      /** null: the tunnel's subnet has no address left for it. */
      address: network.nullish(),
      address6: network.nullish(),
      expires: unix,
      status: z.enum(["active", "pending", "expired", "replaced"]),
      lastHandshake: unix.nullish(),
      connected: z.boolean().nullish(),
      node: z.string().nullish(),
      received: count.nullish(),
      sent: count.nullish(),
    }),
  ),
});

export const revocation = z.object({ typedData, deadline });
export const revoked = z.object({ transaction: hex });

export const nodes = z.object({
  nodes: z.array(
    z.object({
      id: z.string().min(1),
      region: z.string().nullish(),
      endpoint: z.string().regex(/^[^\s#]+:\d{1,5}$/),
      publicKey: key,
      /** null: nobody but the page itself can tell. */
      healthy: z.boolean().nullish(),
      peers: count.nullish(),
      connected: count.nullish(),
      /** null: nothing to measure it by. */
      probeUrl: z.string().min(1).nullish(),
      wireguard: z.string().nullish(),
      /** TCP bridges before it that are well; these go into commands that people copy. */
      bridges: z.array(z.string().regex(/^([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\]):\d{1,5}$/)).default([]),
    }),
  ),
});

export const health = z.object({
  status: z.string(),
  checks: z.record(
    z.string(),
    z.object({
      ok: z.boolean(),
      required: z.boolean().optional(),
      detail: z.string().nullish(),
      title: z.string().nullish(),
      about: z.string().nullish(),
    }),
  ),
});

/** RFC 9457. */
export const problem = z.object({
  title: z.string().optional(),
  detail: z.string().optional(),
  status: z.number().optional(),
  reason: z.string().optional(),
});

export type Config = z.infer<typeof config>;
export type Nonce = z.infer<typeof nonce>;
export type Session = z.infer<typeof session>;
export type Pass = z.infer<typeof passes>["passes"][number];
export type TypedData = z.infer<typeof typedData>;
export type Registration = z.infer<typeof registration>;
export type Registered = z.infer<typeof registered>;
export type Device = z.infer<typeof devices>["devices"][number];
export type Revocation = z.infer<typeof revocation>;
export type VpnNode = z.infer<typeof nodes>["nodes"][number];
export type Health = z.infer<typeof health>;
