import { type FormEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { type Trouble, toTrouble } from "../../api/problem";
import type { LeaseClient } from "../../leases/client";
import type { Lease } from "../../leases/schemas";
import { Confirm } from "../../parts/Confirm";
import { Field } from "../../parts/Field";
import { TroubleNotice } from "../../parts/Notice";
import { span } from "../../parts/time";
import { isEnding, isOver, roomFor } from "./known";

interface Props {
  lease: Lease;
  client: LeaseClient;
  onChanged(lease: Lease): void;
  failed(error: unknown): void;
}

/** What can be done with a lease, as far as its state allows. */
export function Actions({ lease, client, onChanged, failed }: Props): ReactNode {
  const [busy, setBusy] = useState<string | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const shared = { lease, client, onChanged, failed };
  if (isOver(lease)) return null;

  const change = async (name: string, doing: () => Promise<Lease>): Promise<void> => {
    setTrouble(null);
    setBusy(name);
    try {
      onChanged(await doing());
    } catch (error) {
      failed(error);
      setTrouble(toTrouble(error));
    }
    setBusy(null);
  };
  const remove = async (): Promise<void> => {
    try {
      await client.remove(lease.id);
      onChanged(await client.show(lease.id).catch(() => ({ ...lease, phase: "deleting", remainingSeconds: 0 })));
    } catch (error) {
      failed(error);
      throw error;
    }
  };

  const runs = lease.phase === "ready" && lease.status === "running";
  return (
    <>
      {runs && lease.exposure === "public" ? <Open {...shared} /> : null}
      {isEnding(lease) ? null : <Extend {...shared} />}
      {runs ? (
        <button type="button" disabled={busy !== null} onClick={() => void change("pause", () => client.pause(lease.id))}>
          {busy === "pause" ? "Pausing…" : "Pause"}
          <span className="hidden"> {lease.name}</span>
        </button>
      ) : null}
      {lease.paused && !isEnding(lease) ? (
        <button type="button" className="primary" disabled={busy !== null} onClick={() => void change("resume", () => client.resume(lease.id))}>
          {busy === "resume" ? "Resuming…" : "Resume"}
          <span className="hidden"> {lease.name}</span>
        </button>
      ) : null}
      <Confirm
        label="End"
        about={lease.name}
        question={`${lease.name} stops at once, and all that is in it goes. Nobody can bring it back.`}
        yes="End it"
        doing="Ending…"
        no="Keep it"
        disabled={isEnding(lease)}
        onYes={remove}
      />
      {trouble ? <TroubleNotice trouble={trouble} /> : null}
    </>
  );
}

/** Opens the lease in a tab of its own, with a session for it. */
function Open({ lease, client, failed }: Props): ReactNode {
  const [busy, setBusy] = useState(false);
  const [link, setLink] = useState<string | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);

  const open = async (): Promise<void> => {
    setBusy(true);
    setTrouble(null);
    setLink(null);
    // Within the click, or the browser takes it for a pop-up; the address comes later.
    const tab = window.open("", "_blank");
    if (tab) tab.opener = null;
    try {
      const { url } = await client.session(lease.id);
      if (tab && !tab.closed) tab.location.replace(url);
      else setLink(url);
    } catch (error) {
      tab?.close();
      failed(error);
      setTrouble(toTrouble(error));
    }
    setBusy(false);
  };

  return (
    <>
      <button type="button" className="primary" disabled={busy} onClick={() => void open()}>
        {busy ? "Opening…" : "Open"}
        <span className="hidden"> {lease.name} in a new tab</span>
      </button>
      {link ? (
        <p className="notice plain" role="status">
          The browser let no new tab open.{" "}
          <a href={link} target="_blank" rel="noopener noreferrer" onClick={() => setLink(null)}>
            Open {lease.name} here
          </a>
        </p>
      ) : null}
      {trouble ? <TroubleNotice trouble={trouble} /> : null}
    </>
  );
}

const MORE = 30;

export function Extend({ lease, client, onChanged, failed }: Props): ReactNode {
  const room = roomFor(lease);
  const [minutes, setMinutes] = useState<string | null>(null);
  const [wrong, setWrong] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const opener = useRef<HTMLButtonElement>(null);
  const key = useRef<{ minutes: number; key: string } | null>(null);
  const before = useRef(false);
  const asking = minutes !== null;
  useEffect(() => {
    if (asking) {
      input.current?.focus();
      input.current?.select();
    } else if (before.current) opener.current?.focus();
    before.current = asking;
  }, [asking]);

  const extend = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const more = Number(minutes);
    const bad = !Number.isInteger(more) || more < 1 ? "Enter whole minutes, at least 1." : more > room ? `At most ${room}.` : null;
    setWrong(bad);
    setTrouble(null);
    if (bad || busy) return input.current?.focus();
    if (key.current?.minutes !== more) key.current = { minutes: more, key: crypto.randomUUID() };
    setBusy(true);
    try {
      onChanged(await client.extend(lease.id, more, key.current.key));
      key.current = null;
      setMinutes(null);
    } catch (error) {
      failed(error);
      setTrouble(toTrouble(error));
    }
    setBusy(false);
  };

  if (!asking) {
    return (
      <button ref={opener} type="button" disabled={room < 1} title={room < 1 ? "It has the longest life already" : undefined} onClick={() => setMinutes(String(Math.min(MORE, room)))}>
        Extend<span className="hidden"> {lease.name}</span>
      </button>
    );
  }
  return (
    <form className="confirm" aria-label={`Extend ${lease.name}`} onSubmit={(event) => void extend(event)} noValidate>
      <Field label="How many minutes more?" wrong={wrong} hint={`Up to ${room} (${span(room * 60)}).`}>
        {(field) => <input {...field} ref={input} type="number" inputMode="numeric" min={1} max={room} step={1} value={minutes} onChange={(event) => setMinutes(event.target.value)} />}
      </Field>
      {trouble ? <TroubleNotice trouble={trouble} /> : null}
      <div className="row">
        <button type="submit" className="primary" disabled={busy}>
          {busy ? "Extending…" : "Extend"}
        </button>
        <button type="button" disabled={busy} onClick={() => setMinutes(null)}>
          Leave it
        </button>
      </div>
    </form>
  );
}
