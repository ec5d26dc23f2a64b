import type { ReactNode } from "react";
import type { LeaseClient } from "../../leases/client";
import { TroubleNotice } from "../../parts/Notice";
import { EndedRow, LeaseCard } from "./LeaseCard";
import type { Containers } from "./useContainers";

interface Props {
  containers: Containers;
  client: LeaseClient;
  /** What happened last, for readers. */
  said: string;
  failed(error: unknown): void;
}

export function ContainerList({ containers, client, said, failed }: Props): ReactNode {
  const { live, ended, trouble, streaming, ahead, put, refetch } = containers;
  return (
    <section aria-labelledby="leases" className="card">
      <div className="device-head">
        <h2 id="leases">Your leases</h2>
        {live && !trouble ? <span className="quiet">{streaming ? "Live" : "Every few seconds"}</span> : null}
      </div>
      <span className="hidden" role="status">
        {said}
      </span>
      {live === null && !trouble ? <p className="quiet">Reading your leases…</p> : null}
      {trouble ? (
        <TroubleNotice trouble={live === null ? trouble : { ...trouble, what: `${trouble.what} What you see may be old.` }}>
          <button type="button" onClick={refetch}>
            Try again
          </button>
        </TroubleNotice>
      ) : null}
      {live?.length === 0 ? <p className="empty">None runs. The first one that you lease appears here.</p> : null}
      {live && live.length > 0 ? (
        <ul className="devices" aria-label="Leases">
          {live.map((lease) => (
            <LeaseCard key={lease.id} lease={lease} client={client} ahead={ahead} onChanged={put} failed={failed} />
          ))}
        </ul>
      ) : null}
      {ended.length > 0 ? <Ended ended={ended} client={client} /> : null}
    </section>
  );
}

function Ended({ ended, client }: Pick<Containers, "ended"> & { client: LeaseClient }): ReactNode {
  return (
    <details className="more">
      <summary>Ended lately ({ended.length})</summary>
      <ul className="devices" aria-label="Leases that ended">
        {ended.map((lease) => (
          <EndedRow key={lease.id} lease={lease} client={client} />
        ))}
      </ul>
    </details>
  );
}
