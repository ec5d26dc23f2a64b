import { type FormEvent, type ReactNode, useEffect, useRef, useState } from "react";
import { type Trouble, toTrouble } from "../../api/problem";
import type { Pass } from "../../api/schemas";
import { useNow } from "../../hooks/useNow";
import type { Polled } from "../../hooks/usePoll";
import { makePair } from "../../keys/pair";
import { Expiry } from "../../parts/Expiry";
import { TroubleNotice } from "../../parts/Notice";
import { short } from "../../parts/time";
import { useServices } from "../../services";
import { useSession } from "../../session";
import type { Shown } from "./Connect";
import { Progress } from "./Progress";
import { type Signer, type Step, arrival, registerDevice } from "./flows";

interface Props {
  signing: Signer | null;
  passes: Polled<Pass[]>;
  collection: string | undefined;
  onShow(shown: Shown): void;
  onChanged(): void;
}

export function AddDevice({ signing, passes, collection, onShow, onChanged }: Props): ReactNode {
  const { client, keys } = useServices();
  const { failed } = useSession();
  const [picked, setPicked] = useState<string | null>(null);
  const [step, setStep] = useState<Step | null>(null);
  const [trouble, setTrouble] = useState<Trouble | null>(null);

  const now = useNow(2_000);
  const running = useRef<AbortController | null>(null);
  useEffect(() => () => running.current?.abort(), []);

  const usable = (passes.data ?? []).filter(
    (pass) => pass.usable !== false && (pass.expires === 0 || pass.expires > now),
  );
  const pass = usable.find((one) => one.token === picked) ?? usable.find((one) => !one.registered) ?? usable[0];

  const start = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (!signing || !pass || step) return;
    const { token } = pass;
    const gone = new AbortController();
    running.current = gone;
    setTrouble(null);
    try {
      const pair = makePair();
      // Kept before anything is sent, so that it is not lost if only the answer is.
      keys.add(pair);
      await registerDevice(signing, token, pair, setStep);
      onChanged();
      onShow({ token, pair, place: await arrival(client, pair.publicKey, gone.signal) });
    } catch (error) {
      if (gone.signal.aborted) return;
      failed(error);
      setTrouble(toTrouble(error));
    }
    setStep(null);
    onChanged();
  };

  return (
    <section aria-labelledby="add" className="card">
      <h2 id="add">Add a device</h2>
      {passes.data === null && !passes.trouble ? <p className="quiet">Reading your passes from the chain…</p> : null}
      {passes.data === null && passes.trouble ? (
        <TroubleNotice trouble={passes.trouble}>
          <button type="button" onClick={passes.refresh}>
            Try again
          </button>
        </TroubleNotice>
      ) : null}
      {passes.data?.length === 0 ? <NoPass collection={collection} onRefresh={passes.refresh} /> : null}
      {passes.data && passes.data.length > 0 ? (
        <form onSubmit={(event) => void start(event)}>
          <fieldset disabled={step !== null}>
            <legend>Which pass?</legend>
            <ul className="choices">
              {passes.data.map((one) => (
                <PassChoice
                  key={one.token}
                  pass={one}
                  usable={usable.includes(one)}
                  checked={one.token === pass?.token}
                  onPick={() => setPicked(one.token)}
                />
              ))}
            </ul>
          </fieldset>
          {pass?.registered && !step ? (
            <p className="quiet">A pass lets one device in at a time: the new one takes the place of the one it has now.</p>
          ) : null}
          {trouble ? <TroubleNotice trouble={trouble} /> : null}
          {step ? (
            <Progress step={step} />
          ) : (
            <button type="submit" className={pass?.registered ? "" : "primary"} disabled={!signing || !pass}>
              {pass?.registered ? "Make a new key and replace" : "Make a key and register it"}
            </button>
          )}
        </form>
      ) : null}
    </section>
  );
}

interface ChoiceProps {
  pass: Pass;
  usable: boolean;
  checked: boolean;
  onPick(): void;
}

const roles: Record<Pass["role"], string> = { owner: "yours", user: "rented by you", delegate: "as delegate" };

function PassChoice({ pass, usable, checked, onPick }: ChoiceProps): ReactNode {
  return (
    <li>
      <label className={`choice ${checked ? "picked" : ""} ${usable ? "" : "off"}`}>
        <input type="radio" name="pass" value={pass.token} checked={checked} disabled={!usable} onChange={onPick} />
        <span>
          <strong>Pass {short(pass.token, 8)}</strong>{" "}
          <span className="quiet">
            {pass.usable === false && pass.role === "owner" ? "yours, let to another" : roles[pass.role]}, <Expiry at={pass.expires} />
            {pass.registered ? `, has a device at ${pass.address ?? "its address"}` : ""}
          </span>
        </span>
      </label>
    </li>
  );
}

function NoPass({ collection, onRefresh }: { collection: string | undefined; onRefresh(): void }): ReactNode {
  return (
    <div className="empty">
      <p>
        <strong>This account holds no pass.</strong>
      </p>
      <p>
        Passes are tokens of {collection ? <code title={collection}>{short(collection)}</code> : "the collection"}. If yours is in
        another account, sign out and sign in with that one. If it came just now, look again.
      </p>
      <button type="button" onClick={onRefresh}>
        Look again
      </button>
    </div>
  );
}
