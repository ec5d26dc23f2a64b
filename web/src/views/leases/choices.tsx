/** What there is to choose from in the form. */
import { type ReactNode, useCallback, useEffect } from "react";
import type { Pass } from "../../api/schemas";
import { usePoll } from "../../hooks/usePoll";
import type { Exposure, Scenario } from "../../leases/schemas";
import { Field } from "../../parts/Field";
import { bytes, short } from "../../parts/time";
import { useServices } from "../../services";
import { useSession } from "../../session";

export function ScenarioChoice({ scenario, checked, onPick }: { scenario: Scenario; checked: boolean; onPick(): void }): ReactNode {
  const several = scenario.containers.length > 1 ? `${scenario.containers.length} containers (${scenario.containers.join(", ")})` : "one container";
  const limits = `${bytes(scenario.memoryMib * 1024 ** 2)} of memory, ${scenario.cpus} CPU`;
  return (
    <li>
      <label className={`choice ${checked ? "picked" : ""}`}>
        <input type="radio" name="scenario" value={scenario.name} checked={checked} onChange={onPick} />
        <span>
          <strong>{scenario.title || scenario.name}</strong>
          {scenario.description ? <> {scenario.description}</> : null}{" "}
          <span className="quiet">
            {several}, {limits}
            {scenario.pooled ? ", ready at once" : ""}
          </span>
        </span>
      </label>
    </li>
  );
}

const exposures: readonly { way: Exposure; title: string; about: string }[] = [
  { way: "public", title: "Through the gateway", about: "from anywhere, with a session that this page opens" },
  { way: "vpn", title: "Through the tunnel only", about: "from the device of your pass, and from nowhere else" },
];

export function ExposureChoice({ picked, onPick }: { picked: Exposure; onPick(exposure: Exposure): void }): ReactNode {
  return (
    <fieldset>
      <legend>How is it reached?</legend>
      <ul className="choices">
        {exposures.map(({ way, title, about }) => (
          <li key={way}>
            <label className={`choice ${picked === way ? "picked" : ""}`}>
              <input type="radio" name="exposure" value={way} checked={picked === way} onChange={() => onPick(way)} />
              <span>
                <strong>{title}</strong>: <span className="quiet">{about}</span>
              </span>
            </label>
          </li>
        ))}
      </ul>
    </fieldset>
  );
}

interface PassProps {
  value: string;
  wrong: string | null;
  onPick(token: string): void;
}

/** Through whose tunnel: one of the passes of who is signed in, else the number that one enters. */
export function PassField({ value, wrong, onPick }: PassProps): ReactNode {
  const { state } = useSession();
  if (state.phase === "in") return <PassPicker value={value} wrong={wrong} onPick={onPick} />;
  return (
    <Field label="Which pass?" wrong={wrong} hint="The number of the pass whose device reaches it, as Connect shows it.">
      {(field) => <input {...field} type="text" name="pass" inputMode="numeric" autoComplete="off" value={value} onChange={(event) => onPick(event.target.value)} />}
    </Field>
  );
}

function PassPicker({ value, wrong, onPick }: PassProps): ReactNode {
  const { client } = useServices();
  const load = useCallback((signal: AbortSignal) => client.passes(signal), [client]);
  const { data, trouble } = usePoll(load, 30_000);
  const passes: readonly Pass[] = (data ?? []).filter((pass) => pass.usable !== false);
  const first = passes.find((pass) => pass.registered) ?? passes[0];
  const known = passes.some((pass) => pass.token === value);
  useEffect(() => {
    if (!known && first) onPick(first.token);
  }, [known, first, onPick]);
  return (
    <Field label="Which pass?" wrong={wrong} hint={trouble ? trouble.what : "Its device reaches the lease."}>
      {(field) => (
        <select {...field} name="pass" value={value} onChange={(event) => onPick(event.target.value)}>
          {data === null ? <option value="">Reading your passes…</option> : null}
          {passes.length === 0 && data ? <option value="">You hold none</option> : null}
          {passes.map((pass) => (
            <option key={pass.token} value={pass.token}>
              Pass {short(pass.token, 8)}
              {pass.registered ? "" : " (no device yet)"}
            </option>
          ))}
        </select>
      )}
    </Field>
  );
}
