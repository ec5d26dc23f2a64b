import { type ReactNode, memo, useLayoutEffect, useRef, useState } from "react";
import type { LeaseClient } from "../../leases/client";
import type { Lease, LogLine } from "../../leases/schemas";
import { CopyButton } from "../../parts/Copy";
import { TroubleNotice } from "../../parts/Notice";
import { Pill, type Tone } from "../../parts/Pill";
import { type Logs, useLogs } from "./useLogs";

/** Pixels from the end within which the view counts as being there. */
const NEAR = 32;

function stateOf({ state, ended, trouble }: Logs): [Tone, string] {
  if (trouble) return ["bad", "Not followed"];
  if (ended) return ["plain", "Complete"];
  if (state === "open") return ["good", "Live"];
  return state === "connecting" ? ["plain", "Connecting"] : ["warn", "Connection lost, trying again"];
}

interface Props {
  client: LeaseClient;
  lease: Lease;
}

/** What a lease writes, as it writes it; of several containers, one after the other's button. */
export function LogViewer({ client, lease }: Props): ReactNode {
  const roles = lease.containers.map((one) => one.role);
  const [picked, setPicked] = useState<string | null>(null);
  const role = picked ?? (roles.includes("main") ? "main" : (roles[0] ?? "main"));
  return (
    <section className="logs" aria-label={`Log of ${lease.name}`}>
      {roles.length > 1 ? (
        <div className="row" role="group" aria-label="Container">
          {roles.map((one) => (
            <button key={one} type="button" className="small" aria-pressed={one === role} onClick={() => setPicked(one)}>
              {one}
            </button>
          ))}
        </div>
      ) : null}
      <Follower key={`${lease.id} ${role}`} client={client} id={lease.id} name={lease.name} role={role} />
    </section>
  );
}

function Follower({ client, id, name, role }: { client: LeaseClient; id: string; name: string; role: string }): ReactNode {
  const logs = useLogs(client, id, role);
  const [follow, setFollow] = useState(true);
  const view = useRef<HTMLDivElement>(null);
  const [tone, state] = stateOf(logs);
  const { lines } = logs;

  useLayoutEffect(() => {
    if (follow && view.current) view.current.scrollTop = view.current.scrollHeight;
  }, [lines, follow]);
  const scrolled = (): void => {
    const at = view.current;
    if (at) setFollow(at.scrollHeight - at.scrollTop - at.clientHeight < NEAR);
  };

  return (
    <>
      <div className="row">
        <span role="status">
          <Pill tone={tone}>{state}</Pill>
        </span>
        <button type="button" className="small" aria-pressed={follow} onClick={() => setFollow(!follow)}>
          Follow
        </button>
        <CopyButton text={() => asText(lines)}>Copy</CopyButton>
        <button type="button" className="small" disabled={lines.length === 0} onClick={logs.clear}>
          Clear
        </button>
      </div>
      {logs.trouble ? <TroubleNotice trouble={logs.trouble} /> : null}
      {/* Not read out by itself: a container may write faster than anybody speaks.  What scrolls must take the keyboard. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div ref={view} className="log" role="log" aria-live="off" aria-label={`Lines of ${name}`} tabIndex={0} onScroll={scrolled}>
        {logs.dropped > 0 ? <p className="quiet">{logs.dropped} older lines made room: the command line has them all.</p> : null}
        {lines.length === 0 ? <p className="quiet">{logs.ended ? "It wrote nothing." : "Nothing was written yet."}</p> : null}
        {lines.map((line) => (
          <Line key={`${line.cursor} ${line.type}`} line={line} />
        ))}
      </div>
    </>
  );
}

const Line = memo(function Line({ line }: { line: LogLine }): ReactNode {
  if (line.type !== "line") {
    return (
      <p className={`mark ${line.type}`} role={line.type === "gap" ? "note" : undefined}>
        {line.type === "gap" ? `Gap: ${line.lost == null ? "lines are" : line.lost === 1 ? "1 line is" : `${line.lost} lines are`} gone. ` : ""}
        {line.message}
      </p>
    );
  }
  const loud = line.level === "error" || line.stream === "stderr";
  return (
    <p className={loud ? "loud" : line.stream === "berth" ? "ours" : undefined}>
      <time dateTime={new Date(line.timestamp * 1000).toISOString()}>{time(line.timestamp)}</time>{" "}
      {loud ? <span className="hidden">error: </span> : null}
      {line.message}
    </p>
  );
});

/** Of the day, to the second, in the reader's own time. */
function time(seconds: number): string {
  return new Date(seconds * 1000).toLocaleTimeString([], { hour12: false });
}

function asText(lines: readonly LogLine[]): string {
  return lines
    .map(({ type, timestamp, level, message, lost }) => {
      const said = type === "gap" ? `[gap: ${lost ?? "some"} lines are gone] ${message}` : type === "end" ? `[end] ${message}` : message;
      return `${new Date(timestamp * 1000).toISOString()} ${level} ${said}`;
    })
    .join("\n");
}
