import { type FormEvent, type ReactNode, useId, useRef, useState } from "react";
import { type Trouble, toTrouble } from "../../api/problem";
import { USERNAME } from "../../leases/keep";
import type { UserMade } from "../../leases/schemas";
import { CopyButton } from "../../parts/Copy";
import { Field } from "../../parts/Field";
import { TroubleNotice } from "../../parts/Notice";
import { useServices } from "../../services";
import { useSession } from "../../session";
import { SignIn } from "../connect/SignIn";
import { useSigner } from "../connect/useSigner";
import { type CallerTools, GUEST } from "./useCaller";

export function wrongName(name: string): string | null {
  if (name === "") return "Enter a name.";
  return USERNAME.test(name) ? null : "Up to 32 small letters and digits; dots, dashes and underscores inside.";
}

/** With `open` access: whoever says a name has it. */
export function NameLine({ tools }: { tools: CallerTools }): ReactNode {
  const [editing, setEditing] = useState(false);
  const [text, setText] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const save = (event: FormEvent): void => {
    event.preventDefault();
    const bad = wrongName(text.trim());
    setWrong(bad);
    if (bad) return;
    tools.rename(text.trim());
    setEditing(false);
  };
  if (!editing) {
    return (
      <p className="who">
        You are <strong>{tools.name}</strong>.{" "}
        <button
          type="button"
          className="plain"
          onClick={() => {
            setText(tools.name === GUEST ? "" : tools.name);
            setEditing(true);
          }}
        >
          Use another name
        </button>
      </p>
    );
  }
  return (
    <form className="card" onSubmit={save} noValidate>
      <Field label="Your name" wrong={wrong} hint="This stack asks for no password: whoever uses a name has its leases.">
        {(field) => <input {...field} type="text" autoComplete="username" maxLength={32} autoCapitalize="none" spellCheck={false} value={text} onChange={(event) => setText(event.target.value)} ref={focus} />}
      </Field>
      <div className="row">
        <button type="submit" className="primary">
          Use it
        </button>
        <button type="button" onClick={() => setEditing(false)}>
          Cancel
        </button>
      </div>
    </form>
  );
}

function focus(element: HTMLElement | null): void {
  element?.focus();
}

/** With `token` access: register, or enter the token that one has. */
export function TokenGate({ tools }: { tools: CallerTools }): ReactNode {
  return (
    <>
      {tools.notice ? (
        <div className="notice warn" role="status">
          <p>
            <strong>{tools.notice.what}</strong> {tools.notice.why} {tools.notice.todo}
          </p>
        </div>
      ) : null}
      <Register onDone={tools.enter} />
      <Enter onDone={tools.enter} />
    </>
  );
}

/** Registers a name and shows the token that comes of it.  `onDone`: go on with it; without, it is for programs. */
export function Register({ onDone }: { onDone?: CallerTools["enter"] }): ReactNode {
  const { leases } = useServices();
  const heading = useId();
  const [name, setName] = useState("");
  const [wrong, setWrong] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [made, setMade] = useState<UserMade | null>(null);
  // Sent again with the same key, a registration whose answer was lost is still one's own.
  const attempt = useRef<{ name: string; key: string } | null>(null);

  const register = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const bad = wrongName(name.trim());
    setWrong(bad);
    setTrouble(null);
    if (bad || busy) return;
    setBusy(true);
    try {
      if (attempt.current?.name !== name.trim()) attempt.current = { name: name.trim(), key: crypto.randomUUID() };
      setMade(await leases.register(name.trim(), attempt.current.key));
    } catch (error) {
      setTrouble(toTrouble(error));
    }
    setBusy(false);
  };

  return (
    <section className="card" aria-labelledby={heading}>
      <h2 id={heading}>{onDone ? "Register" : "A token for programs"}</h2>
      {made ? (
        <TokenShown made={made} {...(onDone ? { onDone } : {})} />
      ) : (
        <form onSubmit={(event) => void register(event)} noValidate>
          <p className="quiet">
            {onDone
              ? "A name of your own, and a token that proves it. No password, no mail."
              : "The command and programs of yours cannot sign with your wallet: a token lets them in, for as long as you hold the pass."}
          </p>
          <Field label="Name" wrong={wrong} hint="Small letters and digits; dots, dashes and underscores inside.">
            {(field) => <input {...field} type="text" autoComplete="username" maxLength={32} autoCapitalize="none" spellCheck={false} value={name} onChange={(event) => setName(event.target.value)} />}
          </Field>
          {trouble ? <TroubleNotice trouble={trouble} /> : null}
          <button type="submit" className={onDone ? "primary" : ""} disabled={busy}>
            {busy ? "Registering…" : "Register"}
          </button>
        </form>
      )}
    </section>
  );
}

function TokenShown({ made, onDone }: { made: UserMade; onDone?: CallerTools["enter"] }): ReactNode {
  const [stay, setStay] = useState(false);
  return (
    <div className="notice good">
      <p role="status">
        <strong>{made.username} is yours.</strong> This is your API token. It is shown this once: keep it where you keep passwords.
      </p>
      <p>
        <code>{made.token}</code>
      </p>
      <div className="row">
        <CopyButton text={made.token}>Copy the token</CopyButton>
        {onDone ? (
          <>
            <label className="check">
              <input type="checkbox" checked={stay} onChange={(event) => setStay(event.target.checked)} />
              Keep it in this browser
            </label>
            <button type="button" className="primary" onClick={() => onDone({ username: made.username, token: made.token }, stay)}>
              Go on
            </button>
          </>
        ) : null}
      </div>
    </div>
  );
}

function Enter({ onDone }: { onDone: CallerTools["enter"] }): ReactNode {
  const { leases } = useServices();
  const [token, setToken] = useState("");
  const [stay, setStay] = useState(false);
  const [wrong, setWrong] = useState<string | null>(null);
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Trouble | null>(null);

  const enter = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    const given = token.trim();
    setTrouble(null);
    // A header can carry no more than this.
    const bad = given === "" ? "Enter your token." : /^[\x21-\x7e]+$/.test(given) ? null : "A token has no spaces and no special letters.";
    setWrong(bad);
    if (bad || busy) return;
    setBusy(true);
    try {
      const { username } = await leases.as({ access: "token", username: "", token: given }).me();
      onDone({ username, token: given }, stay);
    } catch (error) {
      setTrouble(toTrouble(error));
      setBusy(false);
    }
  };

  return (
    <section className="card" aria-labelledby="enter">
      <h2 id="enter">I have a token</h2>
      <form onSubmit={(event) => void enter(event)} noValidate>
        <Field label="API token" wrong={wrong}>
          {(field) => <input {...field} type="password" autoComplete="off" spellCheck={false} value={token} onChange={(event) => setToken(event.target.value)} />}
        </Field>
        <label className="check keep">
          <input type="checkbox" checked={stay} onChange={(event) => setStay(event.target.checked)} />
          Keep it in this browser
        </label>
        {trouble ? <TroubleNotice trouble={trouble} /> : null}
        <button type="submit" disabled={busy}>
          {busy ? "Checking…" : "Use it"}
        </button>
      </form>
    </section>
  );
}

/** With `pass` access: the wallet that holds the pass signs in, as on Connect. */
export function PassGate(): ReactNode {
  const { state } = useSession();
  const signer = useSigner();
  if (state.phase === "loading") return <p className="quiet">Looking whether you are signed in…</p>;
  return state.phase === "out" ? <SignIn signer={signer} notice={state.notice} /> : null;
}
