import { type FormEvent, type ReactNode, useCallback, useMemo, useState } from "react";
import { Problem } from "../../api/problem";
import { usePoll } from "../../hooks/usePoll";
import type { Caller, LeaseClient } from "../../leases/client";
import { keepAdmin, keptAdmin } from "../../leases/keep";
import type { Lease, LeaseEvent, Overview } from "../../leases/schemas";
import { Confirm } from "../../parts/Confirm";
import { Field } from "../../parts/Field";
import { TroubleNotice } from "../../parts/Notice";
import { Link } from "../../router";
import { useServices } from "../../services";
import { LeaseCard, stateOf } from "./LeaseCard";
import { clock } from "./ExpiryTimer";
import { GUEST } from "./useCaller";
import { useContainers } from "./useContainers";

/** Everything of everyone, for who shows the stack's admin token. */
export function Operate(): ReactNode {
  const { leases } = useServices();
  const [token, setToken] = useState<string | null>(keptAdmin);
  const [refused, setRefused] = useState(false);
  const client = useMemo(() => {
    // A stack of open access without an admin token takes anybody for an operator.
    const caller: Caller = token ? { access: "token", username: "admin", token } : { access: "open", username: GUEST };
    return leases.as(caller);
  }, [leases, token]);
  const failed = useCallback((error: unknown) => {
    if (!(error instanceof Problem && [401, 403].includes(error.status))) return;
    keepAdmin(null);
    setRefused(true);
  }, []);
  const enter = (given: string): void => {
    keepAdmin(given);
    setToken(given);
    setRefused(false);
  };
  return (
    <>
      <h1 tabIndex={-1}>Operate</h1>
      <p className="lead">
        All leases of this stack. <Link to="/leases">To your own</Link>
      </p>
      {refused ? <AdminGate again={token !== null} onEnter={enter} /> : <Board key={token} client={client} failed={failed} />}
    </>
  );
}

function AdminGate({ again, onEnter }: { again: boolean; onEnter(token: string): void }): ReactNode {
  const [token, setToken] = useState("");
  const [wrong, setWrong] = useState<string | null>(again ? "This is not the admin token." : null);
  const enter = (event: FormEvent): void => {
    event.preventDefault();
    const given = token.trim();
    if (/^[\x21-\x7e]+$/.test(given)) onEnter(given);
    else setWrong("Enter the admin token.");
  };
  return (
    <form className="card" onSubmit={enter} noValidate>
      <Field label="Admin token of this stack" wrong={wrong} hint="It is forgotten when this tab is closed.">
        {(field) => <input {...field} type="password" autoComplete="off" spellCheck={false} value={token} onChange={(event) => setToken(event.target.value)} />}
      </Field>
      <button type="submit" className="primary">
        Go on
      </button>
    </form>
  );
}

/** Events that are kept in view. */
const KEPT = 100;

function Board({ client, failed }: { client: LeaseClient; failed(error: unknown): void }): ReactNode {
  const load = useCallback((signal: AbortSignal) => client.overview(signal), [client]);
  const overview = usePoll(load, 5_000, { onError: failed });
  const [events, setEvents] = useState<readonly LeaseEvent[]>([]);
  const onEvent = useCallback((event: LeaseEvent) => setEvents((before) => [event, ...before].slice(0, KEPT)), []);
  const containers = useContainers(client, { everyone: true, onEvent, onError: failed });
  const { refresh } = overview;
  return (
    <>
      {overview.trouble ? <TroubleNotice trouble={overview.trouble} /> : null}
      {overview.data ? <Summary overview={overview.data} client={client} onChanged={refresh} failed={failed} /> : <p className="quiet">Asking the lease manager…</p>}
      {overview.data && overview.data.deadLetters > 0 ? <DeadLetters client={client} failed={failed} /> : null}
      <Everyones containers={containers} client={client} failed={failed} />
      <Events events={events} />
    </>
  );
}

interface SummaryProps {
  overview: Overview;
  client: LeaseClient;
  onChanged(): void;
  failed(error: unknown): void;
}

function Summary({ overview, client, onChanged, failed }: SummaryProps): ReactNode {
  const drain = async (on: boolean, end: boolean): Promise<void> => {
    try {
      await client.drain(on, end);
      onChanged();
    } catch (error) {
      failed(error);
      throw error;
    }
  };
  const facts: [string, ReactNode][] = [
    ["Leases", `${overview.leases} of ${overview.mostLeases}`],
    ...Object.entries(overview.phases).filter(([, count]) => count > 0).map(([phase, count]): [string, ReactNode] => [phase, count]),
    ...Object.entries(overview.pool).map(([scenario, count]): [string, ReactNode] => [`Waiting: ${scenario}`, count]),
    ["Users", overview.users],
    ["Failed for good", overview.deadLetters],
  ];
  return (
    <section className="card" aria-labelledby="overview">
      <h2 id="overview">At a glance</h2>
      {overview.draining ? (
        <p className="notice warn" role="status">
          <strong>No new leases are given.</strong> What runs goes on until its time is over.
        </p>
      ) : null}
      <dl className="facts">
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd className="figure">{value}</dd>
          </div>
        ))}
      </dl>
      {overview.strangers.length > 0 ? (
        <p className="notice warn">
          <strong>Containers that belong to no lease:</strong> {overview.strangers.join(", ")}
        </p>
      ) : null}
      <div className="row">
        {overview.draining ? (
          <Confirm label="Give leases again" about="" question="Whoever may lease can lease again." yes="Give them" doing="Telling the manager…" no="Not yet" onYes={() => drain(false, false)} />
        ) : (
          <Confirm label="Drain" about="the stack" question="No new leases are given. What runs goes on until its time is over." yes="Drain" doing="Telling the manager…" no="Go on as it is" onYes={() => drain(true, false)} />
        )}
        <Confirm
          label="Drain and end all"
          about="leases"
          question={`No new leases are given, and all ${overview.leases} that run end at once, with all that is in them.`}
          yes="End them all"
          doing="Ending…"
          no="Keep them"
          onYes={() => drain(true, true)}
        />
      </div>
    </section>
  );
}

function DeadLetters({ client, failed }: { client: LeaseClient; failed(error: unknown): void }): ReactNode {
  const load = useCallback((signal: AbortSignal) => client.deadLetters(signal), [client]);
  const dead = usePoll(load, 10_000, { onError: failed });
  if (!dead.data || dead.data.containers.length === 0) return null;
  return (
    <section className="card" aria-labelledby="dead">
      <h2 id="dead">Failed too often</h2>
      <ul className="devices">
        {dead.data.containers.map((lease) => (
          <li key={lease.id}>
            <h3>
              {lease.name} <span className="quiet">of {lease.username}</span>
            </h3>
            <p>
              {lease.failure ? `${lease.failure.step}, ${lease.failure.attempts} times: ${lease.failure.message}` : lease.why}
            </p>
            <Confirm label="Try again" about={lease.name} question="It is tried once more, now." yes="Try it" doing="Trying…" no="Leave it" onYes={async () => {
              await client.retry(lease.id);
              dead.refresh();
            }} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Everyones({ containers, client, failed }: { containers: ReturnType<typeof useContainers>; client: LeaseClient; failed(error: unknown): void }): ReactNode {
  const [filter, setFilter] = useState("");
  const { live, trouble, ahead, put } = containers;
  const wanted = filter.trim().toLowerCase();
  const shown = (live ?? []).filter((lease) => matches(lease, wanted));
  return (
    <section className="card" aria-labelledby="everyone">
      <h2 id="everyone">All leases</h2>
      {trouble ? <TroubleNotice trouble={trouble} /> : null}
      {live === null && !trouble ? <p className="quiet">Reading the leases…</p> : null}
      {live?.length === 0 ? <p className="empty">None runs.</p> : null}
      {live && live.length > 0 ? (
        <>
          <Field label="Only with" hint="A part of a user’s name, a lease’s name, a scenario or a state.">
            {(field) => <input {...field} type="search" value={filter} onChange={(event) => setFilter(event.target.value)} />}
          </Field>
          <p className="quiet" role="status">
            {shown.length} of {live.length}
          </p>
          <ul className="devices" aria-label="Leases">
            {shown.map((lease) => (
              <LeaseCard key={lease.id} lease={lease} client={client} ahead={ahead} named onChanged={put} failed={failed} />
            ))}
          </ul>
        </>
      ) : null}
    </section>
  );
}

function matches(lease: Lease, wanted: string): boolean {
  return [lease.username, lease.name, lease.scenarioType, lease.phase, stateOf(lease)[1]].some((one) => one.toLowerCase().includes(wanted));
}

function Events({ events }: { events: readonly LeaseEvent[] }): ReactNode {
  return (
    <section className="card" aria-labelledby="events">
      <h2 id="events">What happens</h2>
      {events.length === 0 ? <p className="empty">Nothing since this page was opened.</p> : <EventLog events={events} />}
    </section>
  );
}

function EventLog({ events }: { events: readonly LeaseEvent[] }): ReactNode {
  return (
    <>
      {/* What scrolls must take the keyboard. */}
      {/* oxlint-disable-next-line jsx-a11y/no-noninteractive-tabindex */}
      <div className="log events" role="log" aria-live="off" aria-label="Events" tabIndex={0}>
        {events.map((event) => (
          <p key={`${event.at} ${event.lease} ${event.kind}`}>
            <time dateTime={new Date(event.at * 1000).toISOString()}>{clock(event.at)}</time> <b>{event.kind}</b> {event.username}: {event.message}
          </p>
        ))}
      </div>
    </>
  );
}
