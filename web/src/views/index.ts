/** The views by path.  nginx knows the same paths: images/web/nginx.conf. */
import type { ReactNode } from "react";
import { Nodes } from "./Nodes";
import { Status } from "./Status";
import { Connect } from "./connect/Connect";
import { Leases } from "./leases/Leases";
import { Operate } from "./leases/Operate";

export interface View {
  path: string;
  title: string;
  show: () => ReactNode;
  /** Reached from another view, not from the navigation. */
  aside?: boolean;
}

export const views: readonly View[] = [
  { path: "/connect", title: "Connect", show: Connect },
  { path: "/leases", title: "Leases", show: Leases },
  { path: "/nodes", title: "Nodes", show: Nodes },
  // /status is the gateway's own page, which is there when this one is not.
  { path: "/system", title: "Status", show: Status },
  { path: "/operate", title: "Operate", show: Operate, aside: true },
];
