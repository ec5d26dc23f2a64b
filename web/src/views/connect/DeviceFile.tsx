import { type ReactNode, useEffect, useId, useMemo, useRef, useState } from "react";
import type { Config, VpnNode } from "../../api/schemas";
import { fileName, wgQuick } from "../../keys/wgquick";
import type { Nodes } from "../../nodes/useNodes";
import { CopyButton } from "../../parts/Copy";
import { Note } from "../../parts/Notice";
import { QrCode } from "../../parts/QrCode";
import { milliseconds, short } from "../../parts/time";
import { offered } from "../../nodes/choose";
import { useServices } from "../../services";
import { BridgeChoice, BridgeSteps } from "./Bridged";
import type { Shown } from "./Connect";

interface Props {
  shown: Shown;
  config: Config;
  nodes: Nodes;
  onClose(): void;
}

/** The file for one device: which node it goes through, and the ways to get it onto the device. */
export function DeviceFile({ shown, config, nodes, onClose }: Props): ReactNode {
  const heading = useRef<HTMLHeadingElement>(null);
  const [picked, setPicked] = useState<string | null>(null);
  const [qr, setQr] = useState(false);
  const [taken, setTaken] = useState<string | null>(null);
  const [blocked, setBlocked] = useState(false);
  const all = nodes.nodes;
  const able = useMemo(() => (blocked ? (all ?? []).filter((one) => one.bridges.length > 0) : (all ?? [])), [all, blocked]);
  const near = blocked ? nearest(able, nodes) : nodes.offer;
  const node = able.find((one) => one.id === picked) ?? near;
  const text = useMemo(
    () => (node ? wgQuick(shown.pair, shown.place, node, config, blocked ? (all ?? []) : undefined) : null),
    [shown, node, config, blocked, all],
  );
  const file = node ? fileName(node, blocked) : "";
  const way = node ? `${node.id}${blocked ? " through a bridge" : ""}` : "";
  useEffect(() => heading.current?.focus(), []);

  const download = (): void => {
    if (!node || text === null) return;
    save(file, text);
    setTaken(way);
  };

  return (
    <section aria-labelledby="file" className="card ready">
      <h2 id="file" ref={heading} tabIndex={-1}>
        Your device may come in
      </h2>
      <p>
        Pass {short(shown.token, 8)} has the address <code>{shown.place.address}</code>. This file is its key: it was made here, it
        is nowhere else, and this page forgets it when you close it.
      </p>
      {shown.place.address ? null : (
        <Note tone="warn">The tunnel has no address left for this pass: tell whoever runs this network.</Note>
      )}
      <NodeChoice nodes={{ ...nodes, nodes: all && able, offer: near }} node={node} picked={picked} onPick={setPicked} />
      {all && all.length > 0 ? (
        <BridgeChoice possible={all.some((one) => one.bridges.length > 0)} blocked={blocked} onChange={setBlocked} />
      ) : null}
      {node && taken !== null && taken !== way ? (
        <Note tone="warn">
          Your file leads to {taken}. For {way}, download it again: the key stays the same.
        </Note>
      ) : null}
      {node && text !== null ? (
        <>
          <div className="row">
            <button type="button" className="primary" onClick={download}>
              Download {file}
            </button>
            {blocked ? null : (
              <button type="button" aria-expanded={qr} onClick={() => setQr(!qr)}>
                {qr ? "Hide the QR code" : "Show a QR code"}
              </button>
            )}
            <CopyButton text={text}>Copy the text</CopyButton>
          </div>
          {qr && !blocked ? (
            <figure className="code">
              <QrCode text={text} label={`WireGuard settings for ${node.id} as a QR code`} />
              <figcaption className="quiet">
                In the WireGuard app: add a tunnel, scan the QR code. Whoever sees it can use your pass.
              </figcaption>
            </figure>
          ) : null}
          {blocked ? (
            <BridgeSteps node={node} file={file} config={config} />
          ) : (
            <p className="quiet">
              On Linux: <code>sudo wg-quick up ./{file}</code>. Elsewhere, import the file in the WireGuard app.
            </p>
          )}
        </>
      ) : null}
      <Keeping shown={shown} />
      <button type="button" className="plain" onClick={onClose}>
        Done, hide this
      </button>
    </section>
  );
}

/** Among those with a bridge; the nearest of all, where it has one, so that the offer stays as it is. */
function nearest(able: readonly VpnNode[], { latencies, offer }: Nodes): VpnNode | null {
  return able.find((one) => one.id === offer?.id) ?? (offer ? offered(able, latencies) : null);
}

interface ChoiceProps {
  nodes: Nodes;
  node: VpnNode | null;
  picked: string | null;
  onPick(id: string | null): void;
}

function NodeChoice({ nodes, node, picked, onPick }: ChoiceProps): ReactNode {
  const id = useId();
  if (nodes.nodes === null) return <p className="quiet">{nodes.trouble ? nodes.trouble.what : "Reading the nodes…"}</p>;
  if (nodes.nodes.length === 0) {
    return <Note tone="warn">No node is open at the moment. Your key is registered; come back for the file while this page is open.</Note>;
  }
  const { offer, latencies } = nodes;
  const dead = node !== null && (node.healthy === false || latencies.get(node.id) === null);
  const pending = nodes.nodes.some((one) => one.probeUrl && !latencies.has(one.id));
  return (
    <>
      <div className="field">
        <label htmlFor={id}>Node</label>
        <select id={id} value={picked ?? ""} onChange={(event) => onPick(event.target.value || null)}>
          <option value="">{offer ? `Nearest: ${describe(offer, nodes)}` : pending ? "Nearest: measuring…" : "Nearest: none answers"}</option>
          {nodes.nodes.map((one) => (
            <option key={one.id} value={one.id}>
              {describe(one, nodes)}
            </option>
          ))}
        </select>
      </div>
      {!offer && !pending && picked === null ? (
        <Note tone="warn">No node answers this browser just now. The page keeps trying; you can also choose one yourself.</Note>
      ) : null}
      {dead && node ? (
        <Note tone="warn">
          {node.id} does not answer. {offer ? `${offer.id} does.` : ""}
        </Note>
      ) : null}
      <p className="hidden" role="status">
        {offer && picked === null ? `Offered: ${offer.id}` : ""}
      </p>
    </>
  );
}

function describe(node: VpnNode, { latencies }: Nodes): string {
  const latency = latencies.get(node.id);
  const state = node.healthy === false ? "not well" : latency === undefined ? (node.probeUrl ? "measuring" : "") : latency === null ? "no answer" : milliseconds(latency);
  return [node.id, node.region, state].filter(Boolean).join(", ");
}

function Keeping({ shown }: { shown: Shown }): ReactNode {
  const { keys } = useServices();
  const [kept, setKept] = useState(() => keys.kept(shown.pair.publicKey));
  const [refused, setRefused] = useState(false);
  if (!keys.canKeep) return null;
  const change = (keep: boolean): void => {
    try {
      if (keep) keys.keep(shown.pair);
      else keys.unkeep(shown.pair.publicKey);
      setKept(keep);
    } catch {
      setRefused(true);
    }
  };
  return (
    <div className="keep">
      <label className="check">
        <input type="checkbox" checked={kept} onChange={(event) => change(event.target.checked)} />
        <span>
          Keep the key in this browser <span className="quiet">so that you can move to another node later. Not on a shared computer.</span>
        </span>
      </label>
      {refused ? <p role="alert">This browser does not allow it.</p> : null}
    </div>
  );
}

function save(name: string, text: string): void {
  const url = URL.createObjectURL(new Blob([text], { type: "application/octet-stream" }));
  const link = document.createElement("a");
  link.href = url;
  link.download = name;
  link.click();
  // The download has been handed over by then; the address must not outlive it.
  setTimeout(() => URL.revokeObjectURL(url), 1_000);
}
