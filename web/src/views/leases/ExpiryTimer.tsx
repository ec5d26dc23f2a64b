import type { ReactNode } from "react";
import { FINE, useTimer } from "../../hooks/useTimer";
import type { Lease } from "../../leases/schemas";
import { span } from "../../parts/time";
import { isEnding, isOver, roomFor } from "./known";

/** Seconds before the end from which it is said that a lease will stop; of short ones their last quarter. */
export const SOON = 300;

function isNear(lease: Lease, left: number): boolean {
  return left <= Math.min(SOON, (lease.expiresAt - lease.createdAt) / 4);
}

/** The end of a lease that runs, in UNIX seconds of this machine's clock; null where no time runs. */
export function endOf(lease: Lease, ahead: number): number | null {
  return lease.paused || isOver(lease) || isEnding(lease) ? null : lease.expiresAt + ahead;
}

/** Minutes while there are many, seconds near the end. */
export function countdown(left: number): string {
  return left > FINE ? span(left - (left % 60)) : span(left);
}

/** What is left of a lease. */
export function ExpiryTimer({ lease, ahead }: { lease: Lease; ahead: number }): ReactNode {
  const end = endOf(lease, ahead);
  const { left, over } = useTimer(end);
  if (end === null) {
    if (isOver(lease)) return <>over</>;
    return isEnding(lease) ? <>ending</> : <>{countdown(lease.remainingSeconds)}, kept while paused</>;
  }
  const date = new Date(lease.expiresAt * 1000);
  return (
    <time role="timer" aria-live="off" dateTime={date.toISOString()} title={date.toLocaleString()} className={isNear(lease, left) ? "soon" : undefined}>
      {over ? "its time is over" : countdown(left)}
    </time>
  );
}

/** Told once at each of these, in seconds before the end; a countdown read out every second would be a nuisance. */
const TOLD = [SOON, 60, 0];

/** Near its end: why and when it stops, and what can be done.  Readers hear it at five minutes, at one, and at the end. */
export function EndWarning({ lease, ahead }: { lease: Lease; ahead: number }): ReactNode {
  const end = endOf(lease, ahead);
  const { left, over } = useTimer(end);
  const near = end !== null && (isNear(lease, left) || lease.warned);
  const step = near ? TOLD.findLast((one) => left <= one) : undefined;
  const spoken = step === undefined ? "" : step === 0 ? `${lease.name} stops now.` : `${lease.name} stops in less than ${span(step)}.`;
  return (
    <>
      <span className="hidden" role="status">
        {spoken}
      </span>
      {near ? (
        <div className="notice warn ending">
          <p>
            <strong>{over ? "It stops now: its time is over." : `It stops in ${countdown(left)}, at ${clock(lease.expiresAt)}: its time is over then.`}</strong> All that is in it
            goes{roomFor(lease) > 0 ? ", unless you extend it" : ""}.
          </p>
        </div>
      ) : null}
    </>
  );
}

export function clock(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });
}
