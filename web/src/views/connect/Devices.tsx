import { type ReactNode, useEffect, useRef, useState } from "react";
import { type Trouble, toTrouble } from "../../api/problem";
import type { Device } from "../../api/schemas";
import { useNow } from "../../hooks/useNow";
import type { Polled } from "../../hooks/usePoll";
import { Expiry } from "../../parts/Expiry";
import { TroubleNotice } from "../../parts/Notice";
import { Pill, type Tone } from "../../parts/Pill";
import { ago, bytes, short } from "../../parts/time";
import { useServices } from "../../services";
import { useSession } from "../../session";
import { type Signer, revokeDevice } from "./flows";

interface Props {
  devices: Polled<Device[]>;
  signing: Signer | null;
  shownKey: string | undefined;
  onShow(device: Device): void;
  onChanged(): void;
  onGone(): void;
}

export function Devices({ devices, signing, shownKey, onShow, onChanged, onGone }: Props): ReactNode {
  const { keys } = useServices();
  const list = devices.data;
  const gone = (device: Device): void => {
    keys.drop(device.key);
    if (device.key === shownKey) onGone();
    onChanged();
  };
  return (
    <section aria-labelledby="devices" className="card">
      <h2 id="devices">Your devices</h2>
      {list === null && !devices.trouble ? <p className="quiet">Reading your devices…</p> : null}
      {devices.trouble ? (
        <TroubleNotice trouble={list === null ? devices.trouble : { ...devices.trouble, what: `${devices.trouble.what} What you see may be old.` }} />
      ) : null}
      {list?.length === 0 ? <p className="empty">None yet. The first one that you add appears here.</p> : null}
      {list && list.length > 0 ? (
        <ul className="devices">
          {list.map((device) => (
            <DeviceRow
              key={`${device.token} ${device.key}`}
              device={device}
              signing={signing}
              onShow={keys.find(device.key) && device.key !== shownKey ? () => onShow(device) : null}
              onGone={() => gone(device)}
            />
          ))}
        </ul>
      ) : null}
    </section>
  );
}

function stateOf(device: Device): [Tone, string] {
  switch (device.status) {
    case "active":
      return device.connected ? ["good", "Connected"] : ["plain", "Not connected"];
    case "pending":
      return ["warn", "On its way"];
    case "expired":
      return ["bad", "Ended"];
    case "replaced":
      return ["bad", "Replaced"];
  }
}

interface RowProps {
  device: Device;
  signing: Signer | null;
  onShow: (() => void) | null;
  onGone(): void;
}

function DeviceRow({ device, signing, onShow, onGone }: RowProps): ReactNode {
  const now = useNow();
  const [tone, state] = stateOf(device);
  const name = `pass ${short(device.token, 8)}`;
  const seen = device.lastHandshake ? ago(device.lastHandshake, now) : "never";
  return (
    <li>
      <div className="device-head">
        <h3>Pass {short(device.token, 8)}</h3>
        <Pill tone={tone}>{state}</Pill>
      </div>
      <dl className="facts">
        <div>
          <dt>Address</dt>
          <dd>
            <code>{device.address ?? "none"}</code>
            {device.address6 ? (
              <>
                {" "}
                <code>{device.address6}</code>
              </>
            ) : null}
          </dd>
        </div>
        <div>
          <dt>Pass</dt>
          <dd>
            <Expiry at={device.expires} />
          </dd>
        </div>
        <div>
          <dt>Last handshake</dt>
          <dd>
            {seen}
            {device.lastHandshake && device.node ? ` through ${device.node}` : ""}
          </dd>
        </div>
        <div>
          <dt>Received, sent</dt>
          <dd>{device.received == null ? "–" : `${bytes(device.received)}, ${bytes(device.sent ?? 0)}`}</dd>
        </div>
        <div>
          <dt>Key</dt>
          <dd>
            <code title={device.key}>{short(device.key)}</code>
          </dd>
        </div>
      </dl>
      <div className="row">
        {onShow ? (
          <button type="button" onClick={onShow}>
            Show its file<span className="hidden"> ({name})</span>
          </button>
        ) : null}
        {device.status === "active" || device.status === "pending" ? (
          <Revoke device={device} name={name} signing={signing} onGone={onGone} />
        ) : null}
      </div>
    </li>
  );
}

type Stage = "idle" | "sure" | "signing";

function Revoke({ device, name, signing, onGone }: { device: Device; name: string; signing: Signer | null; onGone(): void }): ReactNode {
  const { failed } = useSession();
  const [stage, setStage] = useState<Stage>("idle");
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const first = useRef<HTMLButtonElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const before = useRef<Stage>("idle");
  // The keyboard stays where the question is.
  useEffect(() => {
    if (stage === "sure") first.current?.focus();
    if (stage === "idle" && before.current !== "idle") opener.current?.focus();
    before.current = stage;
  }, [stage]);

  const revoke = async (): Promise<void> => {
    if (!signing) return;
    setTrouble(null);
    setStage("signing");
    try {
      await revokeDevice(signing, device.token);
      onGone();
    } catch (error) {
      failed(error);
      setTrouble(toTrouble(error));
      setStage("idle");
    }
  };

  if (stage === "idle") {
    return (
      <>
        <button ref={opener} type="button" disabled={!signing} onClick={() => setStage("sure")}>
          Revoke<span className="hidden"> the device of {name}</span>
        </button>
        {trouble ? <TroubleNotice trouble={trouble} /> : null}
      </>
    );
  }
  return (
    <div className="confirm" role="group" aria-label={`Revoke the device of ${name}`}>
      <p role="status">
        {stage === "signing"
          ? "Sign the revocation in your wallet. The relay then puts it on chain."
          : "The device loses the network within moments. The pass stays yours."}
      </p>
      <div className="row">
        <button ref={first} type="button" disabled={stage === "signing"} onClick={() => setStage("idle")}>
          Keep it
        </button>
        <button type="button" className="danger" disabled={stage === "signing"} onClick={() => void revoke()}>
          {stage === "signing" ? "Revoking…" : "Revoke it"}
        </button>
      </div>
    </div>
  );
}
