/** What the lease API answers, checked where it comes in.  Times become UNIX seconds. */
import * as z from "zod";
import "../api/schemas";

const moment = z.iso.datetime({ offset: true }).transform((text) => Date.parse(text) / 1000);
const count = z.number().nonnegative();
/** What the server says in a word; one that is newer than this page reads as it is. */
const word = z.string().min(1);
/** Becomes a link, so it has to be one. */
const url = z.string().regex(/^https?:\/\/[^\s]+$/);

export const accessMode = z.enum(["open", "token", "pass"]);
export const exposure = z.enum(["public", "vpn"]);
export const status = z.enum(["starting", "running", "stopped", "error"]);

export const scenario = z.object({
  name: z.string().min(1),
  title: z.string(),
  description: z.string(),
  default: z.boolean(),
  containers: z.array(z.string()),
  exposure,
  pooled: z.boolean(),
  minMinutes: z.number().int().positive(),
  maxMinutes: z.number().int().positive(),
  memoryMib: count,
  cpus: count,
});

export const scenarios = z.object({ scenarios: z.array(scenario), access: accessMode, domain: z.string() });

export const userMade = z.object({ username: z.string(), token: z.string().min(1), wallet: z.string().nullish(), createdAt: moment });

export const me = z.object({
  username: z.string(),
  admin: z.boolean(),
  access: accessMode,
  wallet: z.string().nullish(),
  leases: count,
  mostLeases: count,
  totalLeases: count,
  mostTotalLeases: count,
});

const health = z.enum(["starting", "healthy", "unhealthy"]).nullish();

export const container = z.object({
  id: z.string().regex(/^[0-9a-z-]{1,64}$/),
  username: z.string(),
  name: z.string().min(1),
  hostname: z.string(),
  port: z.number().int(),
  url,
  imageType: z.string(),
  scenarioType: z.string(),
  exposure,
  /** With `vpn`: through whose tunnel it is reached. */
  pass: z.string().nullish(),
  status,
  phase: word,
  createdAt: moment,
  readyAt: moment.nullish(),
  expiresAt: moment,
  hardLimitAt: moment,
  endedAt: moment.nullish(),
  remainingSeconds: z.number(),
  /** By how much it could be extended now; not told by older managers. */
  extendableSeconds: count.nullish(),
  paused: z.boolean(),
  health,
  why: z.string(),
  warned: z.boolean(),
  warm: z.boolean(),
  initialTokens: count.nullish(),
  failure: z
    .object({ step: z.string(), message: z.string(), attempts: count, dead: z.boolean(), at: moment, nextAt: moment.nullish() })
    .nullish(),
  containers: z.array(
    z.object({
      role: z.string(),
      image: z.string(),
      state: word,
      health,
      exitCode: z.number().int().nullish(),
      restarts: count,
      outOfMemory: z.boolean(),
    }),
  ),
  resources: z
    .object({
      cpuPercent: count,
      memoryBytes: count,
      memoryLimitBytes: count,
      networkRxBytes: count,
      networkTxBytes: count,
      pids: count,
    })
    .nullish(),
  generation: z.number().int(),
});

export const page = z.object({ containers: z.array(container), next: z.string().nullish(), total: count });

export const opened = z.object({ token: z.string().min(1), url, expiresAt: moment });

export const event = z.object({
  kind: word,
  lease: z.string(),
  username: z.string(),
  at: moment,
  message: z.string(),
  container: container.nullish(),
});

export const logLine = z.object({
  type: z.enum(["line", "gap", "end"]),
  timestamp: moment,
  level: z.enum(["info", "error"]),
  stream: z.enum(["stdout", "stderr", "berth"]),
  role: z.string(),
  message: z.string(),
  cursor: z.string().min(1),
  lost: count.nullish(),
});

/** Why a log is not shown: the last thing that is said. */
export const logRefused = z.object({ type: z.literal("error"), status: z.number(), reason: z.string().optional(), title: z.string().optional(), detail: z.string().optional() });

export const overview = z.object({
  draining: z.boolean(),
  phases: z.record(z.string(), count),
  leases: count,
  mostLeases: count,
  pool: z.record(z.string(), count),
  deadLetters: count,
  users: count,
  strangers: z.array(z.string()),
});

export type AccessMode = z.infer<typeof accessMode>;
export type Exposure = z.infer<typeof exposure>;
export type LeaseStatus = z.infer<typeof status>;
export type Scenario = z.infer<typeof scenario>;
export type Scenarios = z.infer<typeof scenarios>;
export type UserMade = z.infer<typeof userMade>;
export type Me = z.infer<typeof me>;
export type Lease = z.infer<typeof container>;
export type LeasePage = z.infer<typeof page>;
export type Opened = z.infer<typeof opened>;
export type LeaseEvent = z.infer<typeof event>;
export type LogLine = z.infer<typeof logLine>;
export type Overview = z.infer<typeof overview>;
