import { type ReactNode, useCallback, useState } from "react";
import { Problem } from "../../api/problem";
import { usePoll } from "../../hooks/usePoll";
import type { LeaseClient } from "../../leases/client";
import type { LeaseEvent, Scenarios } from "../../leases/schemas";
import { ErrorBoundary } from "../../parts/ErrorBoundary";
import { TroubleNotice } from "../../parts/Notice";
import { Link } from "../../router";
import { useServices } from "../../services";
import { ContainerList } from "./ContainerList";
import { NameLine, PassGate, Register, TokenGate } from "./Identity";
import { ProvisionForm } from "./ProvisionForm";
import { type CallerTools, useCaller } from "./useCaller";
import { useContainers } from "./useContainers";

export function Leases(): ReactNode {
  const { leases } = useServices();
  const [absent, setAbsent] = useState(false);
  const load = useCallback((signal: AbortSignal) => leases.scenarios(signal), [leases]);
  const onError = useCallback((error: unknown) => setAbsent(error instanceof Problem && error.status === 404), []);
  const { data, trouble, refresh } = usePoll(load, 60_000, { onError });
  return (
    <>
      <h1 tabIndex={-1}>Leases</h1>
      <p className="lead">A container of your own for a while. It starts in moments, and goes by itself when its time is over.</p>
      {data === null && !trouble ? <p className="quiet">Asking what can be leased…</p> : null}
      {data === null && trouble && absent ? <p className="card empty">This stack leases no containers.</p> : null}
      {data === null && trouble && !absent ? (
        <TroubleNotice trouble={trouble}>
          <button type="button" onClick={refresh}>
            Try again
          </button>
        </TroubleNotice>
      ) : null}
      {data ? <Identified offered={data} /> : null}
    </>
  );
}

function Identified({ offered }: { offered: Scenarios }): ReactNode {
  const tools = useCaller(offered.access);
  const { access } = offered;
  return (
    <>
      {access === "open" ? <NameLine tools={tools} /> : null}
      {access === "token" && tools.client === null ? <TokenGate tools={tools} /> : null}
      {access === "pass" && tools.client === null ? <PassGate /> : null}
      {/* Another caller is another desk: nothing of the one before stays in it. */}
      {tools.client ? <Desk key={JSON.stringify(tools.client.caller)} offered={offered} tools={tools} client={tools.client} /> : null}
    </>
  );
}

const ME_EVERY = 15_000;

function Desk({ offered, tools, client }: { offered: Scenarios; tools: CallerTools; client: LeaseClient }): ReactNode {
  const { failed } = tools;
  const [said, setSaid] = useState("");
  const loadMe = useCallback((signal: AbortSignal) => client.me(signal), [client]);
  const me = usePoll(loadMe, ME_EVERY, { onError: failed });
  const { refresh: refreshMe } = me;
  const onEvent = useCallback(
    (event: LeaseEvent) => {
      setSaid(event.message);
      if (["requested", "gone"].includes(event.kind)) refreshMe();
    },
    [refreshMe],
  );
  const containers = useContainers(client, { onEvent, onError: failed });
  const { caller } = client;
  return (
    <>
      {caller.access === "token" ? (
        <p className="who">
          You are <strong>{caller.username}</strong>.{" "}
          <button type="button" className="plain" onClick={tools.leave}>
            Forget my token here
          </button>
        </p>
      ) : null}
      <ErrorBoundary scope="provision">
        <ProvisionForm client={client} scenarios={offered.scenarios} me={me.data} onMade={containers.put} failed={failed} />
      </ErrorBoundary>
      <ErrorBoundary scope="leases">
        <ContainerList containers={containers} client={client} said={said} failed={failed} />
      </ErrorBoundary>
      {offered.access === "pass" ? <Register /> : null}
      <p className="foot">
        <span>
          In a terminal, <code>berth lease</code> does the same as this page.
        </span>
        <Link to="/operate">For operators</Link>
      </p>
    </>
  );
}
