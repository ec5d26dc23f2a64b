/** Through a TCP bridge, where UDP is blocked: what changes in the file.  Pure. */
import type { VpnNode } from "../api/schemas";

/** Where the client end of a bridge listens on the person's own machine; `berth tunnel` takes the same. */
export const LOCAL = "127.0.0.1:51888";

/** Bytes of an IP packet on an ordinary path, and what is added to a packet of the tunnel on its way through TCP. */
const PATH = 1500;
const IPV4 = 20;
const IPV6 = 40;
const TCP_WITH_TIMESTAMPS = 20 + 12;
const FRAME_LENGTH = 2;
const WIREGUARD = 16 + 16;

/**
 * The node's own address in the tunnel, and the port for what is thrown away: the client end sends a byte there after each
 * change of bridge, because the node answers where WireGuard's last fresh packet came from.
 */
export function nudge(tunnelSubnet: string): string | null {
  const found = /^(\d+\.\d+\.\d+)\.(\d+)\/\d+$/.exec(tunnelSubnet);
  return found ? `${found[1]}.${Number(found[2]) + 1}:9` : null;
}

/** The tunnel's MTU with which a full packet still travels in one TCP segment; never more than the stack's own. */
export function bridgedMtu(own: number, nodes: readonly VpnNode[]): number {
  // A bridge that is a name is taken to be reached by IPv4: if it is not, full packets arrive in two segments.
  const six = nodes.some((node) => node.bridges.some((bridge) => bridge.startsWith("[")));
  return Math.min(own, PATH - (six ? IPV6 : IPV4) - TCP_WITH_TIMESTAMPS - FRAME_LENGTH - WIREGUARD);
}
