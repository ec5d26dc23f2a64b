/** Requests to our own origin, and answers that are checked before anything uses them. */
import type * as z from "zod";
import { Problem, explain } from "./problem";
import { problem } from "./schemas";

/** Milliseconds. */
const PATIENCE = 15_000;

export interface Call {
  method?: "GET" | "POST" | "PUT" | "DELETE";
  body?: unknown;
  headers?: Record<string, string> | undefined;
  patience?: number;
  signal?: AbortSignal | undefined;
  /** Statuses beside 2xx whose body is an answer all the same. */
  also?: number[];
}

/** Throws {@link Problem}, or the signal's reason when it was aborted from outside. */
export async function ask<T extends z.ZodType>(url: string, schema: T, call: Call): Promise<z.infer<T>> {
  const response = await send(url, call);
  let body: unknown;
  try {
    body = await response.json();
  } catch (error) {
    throw odd(response, "it is not JSON", error);
  }
  const checked = schema.safeParse(body);
  if (checked.success) return checked.data;
  const first = checked.error.issues[0];
  throw odd(response, `${first?.path.join(".") || "the whole"}: ${first?.message ?? "not as expected"}`, checked.error);
}

export async function send(url: string, call: Call): Promise<Response> {
  const timeout = AbortSignal.timeout(call.patience ?? PATIENCE);
  const request: RequestInit = {
    method: call.method ?? "GET",
    headers: { Accept: "application/json, application/problem+json", ...call.headers },
    cache: "no-store",
    credentials: "same-origin",
    signal: call.signal ? AbortSignal.any([call.signal, timeout]) : timeout,
  };
  if (call.body !== undefined) {
    request.body = JSON.stringify(call.body);
    request.headers = { ...request.headers, "Content-Type": "application/json" };
  }
  let response: Response;
  try {
    response = await fetch(url, request);
  } catch (error) {
    if (call.signal?.aborted) throw error;
    throw silent(error, timeout.aborted);
  }
  if (response.ok || call.also?.includes(response.status)) return response;
  throw await refused(response);
}

/** No answer at all. */
export function silent(cause: unknown, late = false): Problem {
  const why = late ? "It took too long to answer." : "There is no connection to it.";
  const trouble = { what: "The server does not answer.", why, todo: "Check your connection, then try again." };
  return new Problem(0, "no-answer", trouble, { cause });
}

/** What an answer other than 2xx says. */
export async function refused(response: Response): Promise<Problem> {
  const wait = Number(response.headers.get("Retry-After") ?? Number.NaN);
  const parsed = problem.safeParse(await response.json().catch(() => ({})));
  const told = parsed.success ? parsed.data : {};
  const reason = told.reason ?? `status-${response.status}`;
  const seconds = Number.isFinite(wait) ? wait : undefined;
  return new Problem(response.status, reason, explain(response.status, reason, told.detail ?? told.title, seconds));
}

function odd(response: Response, why: string, cause: unknown): Problem {
  const trouble = {
    what: "The server's answer makes no sense to this page.",
    why: `Answer to ${new URL(response.url || "/", location.href).pathname}: ${why}.`,
    todo: "Reload the page: it may be older than the server. If that does not help, tell whoever runs this network.",
  };
  return new Problem(response.status, "odd-answer", trouble, { cause });
}
