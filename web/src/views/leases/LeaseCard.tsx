import { type ReactNode, useId, useState } from "react";
import type { LeaseClient } from "../../leases/client";
import type { Lease } from "../../leases/schemas";
import { Pill, type Tone } from "../../parts/Pill";
import { bytes, short, span } from "../../parts/time";
import { Actions } from "./Actions";
import { EndWarning, ExpiryTimer } from "./ExpiryTimer";
import { LogViewer } from "./LogViewer";
import { isEnding, isOver } from "./known";

interface Props {
  lease: Lease;
  client: LeaseClient;
  ahead: number;
  /** Whose it is, where that is not plain. */
  named?: boolean;
  onChanged(lease: Lease): void;
  failed(error: unknown): void;
}

/** The state of a lease in a word. */
export function stateOf(lease: Lease): [Tone, string] {
  if (isOver(lease)) return lease.status === "error" || lease.failure ? ["bad", "Failed"] : ["plain", "Ended"];
  if (isEnding(lease)) return ["warn", "Ending"];
  if (lease.status === "error") return ["bad", "Failed"];
  if (lease.paused) return ["plain", "Paused"];
  if (lease.status === "starting") return ["warn", "Starting"];
  if (lease.status === "stopped") return ["bad", "Stopped"];
  if (lease.health === "unhealthy") return ["bad", "Not well"];
  return lease.health === "starting" ? ["warn", "Warming up"] : ["good", "Running"];
}

export function LeaseCard({ lease, client, ahead, named = false, onChanged, failed }: Props): ReactNode {
  const [logs, setLogs] = useState(false);
  const [tone, state] = stateOf(lease);
  const logId = useId();
  const shared = { lease, client, onChanged, failed };
  return (
    <li aria-label={`Lease ${lease.name}`}>
      <div className="device-head">
        <h3>
          {lease.name} <span className="quiet">{lease.scenarioType}</span>
        </h3>
        <Pill tone={tone}>{state}</Pill>
      </div>
      {isOver(lease) ? null : (
        <EndWarning lease={lease} ahead={ahead} />
      )}
      {isPlain(lease) ? null : <p className="quiet why">{lease.why}</p>}
      <FailureNote lease={lease} />
      {isOver(lease) ? null : <Facts lease={lease} ahead={ahead} named={named} />}
      <div className="row">
        <Actions {...shared} />
        <button type="button" aria-expanded={logs} aria-controls={logId} onClick={() => setLogs(!logs)}>
          {logs ? "Close the log" : "Log"}
          <span className="hidden"> of {lease.name}</span>
        </button>
      </div>
      <div id={logId}>{logs ? <LogViewer client={client} lease={lease} /> : null}</div>
    </li>
  );
}

/** It runs until its time is over: the countdown says so, and better. */
function isPlain(lease: Lease): boolean {
  return lease.phase === "ready" && lease.status === "running";
}

function FailureNote({ lease: { failure } }: { lease: Lease }): ReactNode {
  if (!failure) return null;
  const again = failure.dead || !failure.nextAt ? "It is not tried again." : `It is tried again, ${failure.attempts} times so far.`;
  return (
    <div className="notice bad" role="status">
      <p>
        <strong>{failure.message}</strong> {again}
      </p>
    </div>
  );
}

function Facts({ lease, ahead, named }: { lease: Lease; ahead: number; named: boolean }): ReactNode {
  const { resources: used } = lease;
  const facts: [name: string, value: ReactNode, look?: string][] = [
    ["Time left", <ExpiryTimer key="timer" lease={lease} ahead={ahead} />, "figure"],
    ["CPU", used ? `${used.cpuPercent < 10 ? used.cpuPercent.toFixed(1) : Math.round(used.cpuPercent)} %` : "–"],
    ["Memory", used ? `${bytes(used.memoryBytes)} of ${bytes(used.memoryLimitBytes)}` : "–"],
    ["Received, sent", used ? `${bytes(used.networkRxBytes)}, ${bytes(used.networkTxBytes)}` : "–"],
  ];
  if (named) facts.unshift(["Of", lease.username]);
  const way = lease.exposure === "vpn" ? `through the tunnel of pass ${short(lease.pass ?? "?", 8)} only` : "through the gateway";
  facts.push([
    "Address",
    <span key="address">
      <code>{lease.hostname}</code> <span className="quiet">{way}</span>
    </span>,
    "wide",
  ]);
  if (lease.initialTokens != null) facts.push(["Initial tokens", lease.initialTokens]);
  return (
    <>
      <dl className="facts">
        {facts.map(([name, value, look]) => (
          <div key={name} className={look === "wide" ? "wide" : undefined}>
            <dt>{name}</dt>
            <dd className={look === "figure" ? "figure" : undefined}>{value}</dd>
          </div>
        ))}
      </dl>
      {lease.containers.length > 1 ? (
        <ul className="roles" aria-label={`Containers of ${lease.name}`}>
          {lease.containers.map((part) => (
            <li key={part.role}>
              <strong>{part.role}</strong> {part.state}
              {part.health ? `, ${part.health}` : ""}
              {part.restarts > 0 ? `, restarted ${part.restarts} times` : ""}
              {part.outOfMemory ? ", out of memory" : ""}
            </li>
          ))}
        </ul>
      ) : null}
    </>
  );
}

/** One that ended: what it was, and why it ended. */
export function EndedRow({ lease, client }: { lease: Lease; client: LeaseClient }): ReactNode {
  const [logs, setLogs] = useState(false);
  const [tone, state] = stateOf(lease);
  const lived = (lease.endedAt ?? lease.expiresAt) - lease.createdAt;
  return (
    <li aria-label={`Lease ${lease.name}`}>
      <div className="device-head">
        <h3>
          {lease.name} <span className="quiet">{lease.scenarioType}</span>
        </h3>
        <Pill tone={tone}>{state}</Pill>
      </div>
      <p className="quiet why">
        {lease.why} It lived for {span(lived)}.
      </p>
      {lease.failure ? <p>{lease.failure.message}</p> : null}
      <button type="button" className="small" aria-expanded={logs} onClick={() => setLogs(!logs)}>
        {logs ? "Close the log" : "Log"}
        <span className="hidden"> of {lease.name}</span>
      </button>
      {logs ? <LogViewer client={client} lease={lease} /> : null}
    </li>
  );
}
