import { type FormEvent, type ReactNode, useRef, useState } from "react";
import { type Trouble, toTrouble } from "../../api/problem";
import type { Asked, LeaseClient } from "../../leases/client";
import type { Exposure, Lease, Me, Scenario } from "../../leases/schemas";
import { Field } from "../../parts/Field";
import { Note, TroubleNotice } from "../../parts/Notice";
import { span } from "../../parts/time";
import { ExposureChoice, PassField, ScenarioChoice } from "./choices";

interface Props {
  client: LeaseClient;
  scenarios: readonly Scenario[];
  me: Me | null;
  onMade(lease: Lease): void;
  failed(error: unknown): void;
}

const USUAL = 60;
const OFFERED = [15, 60, 240, 1440];
const MOST_TOKENS = 10 ** 12;

/** What is wrong with a number of minutes for this scenario. */
export function wrongMinutes(text: string, { minMinutes, maxMinutes }: Pick<Scenario, "minMinutes" | "maxMinutes">): string | null {
  const minutes = Number(text);
  if (text.trim() === "" || !Number.isInteger(minutes)) return "Enter whole minutes.";
  if (minutes < minMinutes) return `At least ${span(minMinutes * 60)}.`;
  return minutes > maxMinutes ? `At most ${maxMinutes} minutes (${span(maxMinutes * 60)}).` : null;
}

export function wrongTokens(text: string): string | null {
  const tokens = Number(text);
  return text.trim() === "" || (Number.isInteger(tokens) && tokens >= 0 && tokens <= MOST_TOKENS) ? null : "Enter a whole number from 0, or nothing.";
}

type Wrong = { minutes?: string | null; tokens?: string | null; pass?: string | null };

export function wrongPass(text: string): string | null {
  return /^(0|[1-9]\d{0,77})$/.test(text.trim()) ? null : "Enter the number of your pass.";
}

export function ProvisionForm({ client, scenarios, me, onMade, failed }: Props): ReactNode {
  const [picked, setPicked] = useState<string | null>(null);
  const scenario = scenarios.find((one) => one.name === picked) ?? scenarios.find((one) => one.default) ?? scenarios[0];
  const [minutes, setMinutes] = useState<string | null>(null);
  const [exposure, setExposure] = useState<Exposure | null>(null);
  const [tokens, setTokens] = useState("");
  const [pass, setPass] = useState("");
  const [wrong, setWrong] = useState<Wrong>({});
  const [busy, setBusy] = useState(false);
  const [trouble, setTrouble] = useState<Trouble | null>(null);
  const [made, setMade] = useState<Lease | null>(null);
  // The same request sent again after a broken answer must not make a second lease.
  const attempt = useRef<{ asked: string; key: string } | null>(null);
  const form = useRef<HTMLFormElement>(null);

  if (!scenario) return <p className="card empty">This stack has no scenario to lease. Ask whoever runs it.</p>;
  const usual = Math.min(Math.max(USUAL, scenario.minMinutes), scenario.maxMinutes);
  const way = exposure ?? scenario.exposure;
  const time = minutes ?? String(usual);

  const provision = async (event: FormEvent): Promise<void> => {
    event.preventDefault();
    if (busy) return;
    const found: Wrong = { minutes: wrongMinutes(time, scenario), tokens: wrongTokens(tokens), pass: way === "vpn" ? wrongPass(pass) : null };
    setWrong(found);
    setTrouble(null);
    setMade(null);
    const first = (["minutes", "pass", "tokens"] as const).find((name) => found[name]);
    if (first) {
      form.current?.querySelector<HTMLElement>(`[name="${first}"]`)?.focus();
      return;
    }
    const asked: Asked = {
      imageType: scenario.name,
      durationMinutes: Number(time),
      exposure: way,
      ...(way === "vpn" ? { pass: pass.trim() } : {}),
      ...(tokens.trim() ? { initialTokens: Number(tokens) } : {}),
    };
    const text = JSON.stringify(asked);
    if (attempt.current?.asked !== text) attempt.current = { asked: text, key: crypto.randomUUID() };
    setBusy(true);
    try {
      const lease = await client.provision(asked, attempt.current.key);
      attempt.current = null;
      setMade(lease);
      onMade(lease);
    } catch (error) {
      failed(error);
      setTrouble(toTrouble(error));
    }
    setBusy(false);
  };

  return (
    <section className="card" aria-labelledby="provision">
      <div className="device-head">
        <h2 id="provision">Lease a container</h2>
        {me ? (
          <span className="quiet">
            {me.leases} of {me.mostLeases} in use
          </span>
        ) : null}
      </div>
      <form ref={form} onSubmit={(event) => void provision(event)} noValidate>
        <fieldset>
          <legend>Which scenario?</legend>
          <ul className="choices">
            {scenarios.map((one) => (
              <ScenarioChoice key={one.name} scenario={one} checked={one === scenario} onPick={() => setPicked(one.name)} />
            ))}
          </ul>
        </fieldset>
        <Field
          label="For how many minutes?"
          wrong={wrong.minutes ?? null}
          hint={`${scenario.minMinutes} to ${scenario.maxMinutes}. It can be extended while it runs, and ended at any time.`}
        >
          {(field) => (
            <span className="row">
              <input
                {...field}
                type="number"
                name="minutes"
                inputMode="numeric"
                min={scenario.minMinutes}
                max={scenario.maxMinutes}
                step={1}
                value={time}
                onChange={(event) => {
                  const text = event.target.value;
                  setMinutes(text);
                  // Told when it is asked for, taken back as soon as it is right: never in the way of a click.
                  setWrong((before) => (before.minutes ? { ...before, minutes: wrongMinutes(text, scenario) } : before));
                }}
              />
              {OFFERED.filter((one) => one >= scenario.minMinutes && one <= scenario.maxMinutes).map((one) => (
                <button
                  key={one}
                  type="button"
                  className="small"
                  aria-pressed={Number(time) === one}
                  onClick={() => {
                    setMinutes(String(one));
                    setWrong((before) => ({ ...before, minutes: null }));
                  }}
                >
                  {span(one * 60)}
                </button>
              ))}
            </span>
          )}
        </Field>
        <ExposureChoice picked={way} onPick={setExposure} />
        {way === "vpn" ? <PassField value={pass} wrong={wrong.pass ?? null} onPick={setPass} /> : null}
        <details className="more">
          <summary>More</summary>
          <Field label="Initial tokens" wrong={wrong.tokens ?? null} hint="For scenarios that ask for some; others pay no heed to it.">
            {(field) => <input {...field} type="number" name="tokens" inputMode="numeric" min={0} step={1} value={tokens} onChange={(event) => setTokens(event.target.value)} />}
          </Field>
        </details>
        {trouble ? <TroubleNotice trouble={trouble} /> : null}
        <button type="submit" className="primary" disabled={busy}>
          {busy ? "Asking for it…" : "Lease it"}
        </button>
        {made ? (
          <Note tone="good">
            <p>
              <strong>{made.name} is yours</strong> for {span(Math.round(made.remainingSeconds / 60) * 60)}. You find it below.
            </p>
          </Note>
        ) : null}
      </form>
    </section>
  );
}
