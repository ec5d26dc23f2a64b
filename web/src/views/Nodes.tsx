import type { ReactNode } from "react";
import type { VpnNode } from "../api/schemas";
import { useNodes } from "../nodes/useNodes";
import { TroubleNotice } from "../parts/Notice";
import { Pill, type Tone } from "../parts/Pill";
import { milliseconds, short } from "../parts/time";
import { Link } from "../router";
import { useSession } from "../session";

export function Nodes(): ReactNode {
  const { state } = useSession();
  return (
    <>
      <h1 tabIndex={-1}>Nodes</h1>
      {state.phase === "in" ? <List /> : null}
      {state.phase === "loading" ? <p className="quiet">Looking whether you are signed in…</p> : null}
      {state.phase === "out" ? (
        <div className="card empty">
          <p>
            The nodes are shown to who is signed in. <Link to="/connect">Sign in on Connect</Link>
          </p>
        </div>
      ) : null}
    </>
  );
}

function List(): ReactNode {
  const { nodes, latencies, offer, trouble } = useNodes();
  return (
    <>
      <p className="lead">Each of them lets your device in with the same key. How far they are is measured from this browser.</p>
      {trouble ? <TroubleNotice trouble={trouble} /> : null}
      {nodes === null && !trouble ? <p className="quiet">Reading the nodes…</p> : null}
      {nodes?.length === 0 ? (
        <p className="card empty">No node is announced and allowed yet. Ask whoever runs this network.</p>
      ) : null}
      {nodes && nodes.length > 0 ? (
        <ul className="nodes">
          {nodes.map((node) => (
            <NodeCard key={node.id} node={node} latency={latencies.get(node.id)} nearest={node.id === offer?.id} />
          ))}
        </ul>
      ) : null}
    </>
  );
}

function stateOf(node: VpnNode, latency: number | null | undefined): [Tone, string] {
  if (node.healthy === false) return ["bad", "Not well"];
  if (latency === undefined) return node.probeUrl ? ["plain", "Measuring"] : ["plain", "Not measured"];
  return latency === null ? ["bad", "No answer"] : ["good", "Up"];
}

function NodeCard({ node, latency, nearest }: { node: VpnNode; latency: number | null | undefined; nearest: boolean }): ReactNode {
  const [tone, state] = stateOf(node, latency);
  return (
    <li className={`card ${nearest ? "nearest" : ""}`}>
      <div className="device-head">
        <h2>{node.id}</h2>
        <span className="row">
          {nearest ? <span className="pill accent">Nearest</span> : null}
          <Pill tone={tone}>{state}</Pill>
        </span>
      </div>
      <dl className="facts">
        <div>
          <dt>From here</dt>
          <dd className="figure">{latency == null ? "–" : milliseconds(latency)}</dd>
        </div>
        <div>
          <dt>Region</dt>
          <dd>{node.region || "–"}</dd>
        </div>
        <div>
          <dt>Connected</dt>
          <dd>{node.connected == null ? "–" : `${node.connected} of ${node.peers ?? "?"}`}</dd>
        </div>
        <div>
          <dt>Endpoint</dt>
          <dd>
            <Place at={node.endpoint} />
          </dd>
        </div>
        <div>
          <dt>TCP bridges</dt>
          <dd>{node.bridges.length === 0 ? "none" : <Bridges all={node.bridges} />}</dd>
        </div>
        <div>
          <dt>WireGuard</dt>
          <dd>{node.wireguard || "–"}</dd>
        </div>
        <div>
          <dt>Key</dt>
          <dd>
            <code title={node.publicKey}>{short(node.publicKey)}</code>
          </dd>
        </div>
      </dl>
    </li>
  );
}

/** host:port, which breaks before the port where it has to. */
function Place({ at }: { at: string }): ReactNode {
  const colon = at.lastIndexOf(":");
  return (
    <code>
      {at.slice(0, colon)}
      <wbr />
      {at.slice(colon)}
    </code>
  );
}

function Bridges({ all }: { all: readonly string[] }): ReactNode {
  return (
    <ul>
      {all.map((bridge) => (
        <li key={bridge}>
          <Place at={bridge} />
        </li>
      ))}
    </ul>
  );
}
