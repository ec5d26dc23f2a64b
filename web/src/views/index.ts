/** The views by path.  nginx knows the same paths: images/web/nginx.conf. */
import type { ReactNode } from "react";
import { Nodes } from "./Nodes";
import { Status } from "./Status";
import { Connect } from "./connect/Connect";

export interface View {
  path: string;
  title: string;
  show: () => ReactNode;
}

export const views: readonly View[] = [
  { path: "/connect", title: "Connect", show: Connect },
  { path: "/nodes", title: "Nodes", show: Nodes },
  // /status is the gateway's own page, which is there when this one is not.
  { path: "/system", title: "Status", show: Status },
];
