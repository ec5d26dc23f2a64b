/** The file that a WireGuard client takes, for one device on one node. */
import type { Config, VpnNode } from "../api/schemas";
import { LOCAL, bridgedMtu } from "./bridge";
import type { KeyPair } from "./pair";

export interface Place {
  address?: string | null | undefined;
  address6?: string | null | undefined;
}

/**
 * `wg-quick` text; null while the device has no address.  `place` has the tunnel addresses without prefix length.
 *
 * `bridged`: all nodes, for a file that leads through a TCP bridge.  Those besides `node` become peers without allowed
 * IPs, to which `berth tunnel` moves when `node` is gone.
 */
export function wgQuick(pair: KeyPair, place: Place, node: VpnNode, config: Config, bridged?: readonly VpnNode[]): string | null {
  if (!place.address) return null;
  const addresses = [`${bare(place.address)}/32`];
  if (place.address6) addresses.push(`${bare(place.address6)}/128`);
  const lines = [
    "[Interface]",
    `PrivateKey = ${pair.privateKey}`,
    `Address = ${addresses.join(", ")}`,
    ...(config.dns.length > 0 ? [`DNS = ${config.dns.join(", ")}`] : []),
    `MTU = ${bridged ? bridgedMtu(config.mtu, bridged) : config.mtu}`,
    "",
    "[Peer]",
    // `berth` knows a file for `berth tunnel` by these words.
    `# ${node.region ? `${node.id}, ${node.region}` : node.id}${bridged ? ", through a TCP bridge" : ""}`,
    `PublicKey = ${node.publicKey}`,
    `Endpoint = ${bridged ? LOCAL : node.endpoint}`,
    `AllowedIPs = ${config.allowedIps.join(", ")}`,
    "PersistentKeepalive = 25",
    ...(bridged ?? [])
      .filter((other) => other.id !== node.id)
      .flatMap((other) => ["", "[Peer]", `# ${other.id}, for when ${node.id} is gone`, `PublicKey = ${other.publicKey}`, `Endpoint = ${LOCAL}`]),
  ];
  // What the server says begins no line of its own: PostUp lines are commands.
  return `${lines.map(oneLine).join("\n")}\n`;
}

/** `wg-quick` names the interface after the file, and an interface's name has at most 15 characters. */
export function fileName(node: VpnNode, bridged = false): string {
  if (bridged) return "berth-tcp.conf"; // it holds every node
  const name = `berth-${node.id}`.replace(/[^A-Za-z0-9_=+.-]/g, "-").slice(0, 15).replace(/[.-]+$/, "");
  return `${name}.conf`;
}

function bare(address: string): string {
  return address.replace(/\/.*$/, "");
}

function oneLine(text: string): string {
  return text.replace(/[\p{Cc}\p{Zl}\p{Zp}]+/gu, " ");
}
