import { type ReactNode, useCallback, useState } from "react";
import type { Health } from "../api/schemas";
import { usePoll } from "../hooks/usePoll";
import { Pill } from "../parts/Pill";
import { useServices } from "../services";

const summaries: Record<string, [tone: string, text: string]> = {
  ok: ["good", "Everything is up."],
  degraded: ["warn", "Working, but a part is down."],
  failing: ["bad", "Not working: a part that is needed is down."],
};

export function Status(): ReactNode {
  const { client } = useServices();
  const [paused, setPaused] = useState(false);
  const load = useCallback((signal: AbortSignal) => client.health(signal), [client]);
  const { data, trouble, at } = usePoll(load, 5_000, { active: !paused });
  const [tone, text] = summary(data, trouble !== null);
  return (
    <>
      <h1 tabIndex={-1}>Status</h1>
      <p className={`summary ${tone}`} role="status">
        {text}
      </p>
      {data ? (
        <ul className="card parts" aria-label="Parts">
          {Object.entries(data.checks).map(([name, check]) => (
            <li key={name}>
              <Pill tone={check.ok ? "good" : "bad"}>{check.ok ? "Up" : "Down"}</Pill>
              <div>
                <strong>{check.title || name}</strong>
                <p className="quiet">{check.about || check.detail}</p>
              </div>
            </li>
          ))}
        </ul>
      ) : null}
      {data && Object.keys(data.checks).length === 0 ? <p className="empty">The gateway watches no part.</p> : null}
      <div className="foot">
        <p>
          Checked by the gateway. {at ? `Updated at ${new Date(at).toLocaleTimeString()}. ` : ""}
          <a href="/health">As JSON</a>
        </p>
        <button type="button" aria-pressed={paused} onClick={() => setPaused(!paused)}>
          Pause updates
        </button>
      </div>
    </>
  );
}

function summary(health: Health | null, lost: boolean): [string, string] {
  if (lost) return ["warn", "The gateway does not answer."];
  if (health === null) return ["plain", "Asking the gateway…"];
  return summaries[health.status] ?? ["warn", `The gateway says: ${health.status}.`];
}
