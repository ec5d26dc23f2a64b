import { Problem, explain } from "../api/problem";

/** A server's refusal, as the page has it. */
export function refusal(status: number, reason: string, detail = "because"): Problem {
  return new Problem(status, reason, explain(status, reason, detail));
}
