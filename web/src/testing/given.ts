/** Examples for tests, whole and valid. */
import type { Config, Device, Pass, VpnNode } from "../api/schemas";

export const ACCOUNT = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266";
export const REGISTRY = "0x5FbDB2315678afecb367f032d93F642f64180aa3";

export function config(other: Partial<Config> = {}): Config {
  return {
    chainId: 31337,
    chainName: "berth dev",
    collection: "0xe7f1725E7734CE288F8367e1Bb143E90bb3F0512",
    keyRegistry: REGISTRY,
    domain: { name: "berth KeyRegistry", version: "1", chainId: 31337, verifyingContract: REGISTRY },
    mtu: 1420,
    dns: [],
    allowedIps: ["10.99.0.0/24", "fd00::/64"],
    tunnelSubnet: "10.99.0.0/24",
    tunnelSubnet6: "fd00::/64",
    nodeCount: 2,
    ...other,
  };
}

export function node(id: string, other: Partial<VpnNode> = {}): VpnNode {
  return {
    id,
    region: null,
    endpoint: `${id}.example:51820`,
    publicKey: "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=",
    healthy: true,
    peers: 10,
    connected: 3,
    probeUrl: `/nodes/${id}/ping`,
    wireguard: "wireguard-go",
    bridges: [],
    ...other,
  };
}

export function pass(token: string, other: Partial<Pass> = {}): Pass {
  return { token, owner: ACCOUNT, holder: ACCOUNT, role: "owner", expires: 0, registered: false, key: null, address: null, address6: null, ...other };
}

export function device(token: string, key: string, other: Partial<Device> = {}): Device {
  return {
    token,
    key,
    address: "10.99.0.2",
    address6: "fd00::2",
    expires: 0,
    status: "active",
    lastHandshake: null,
    connected: false,
    node: null,
    received: 0,
    sent: 0,
    ...other,
  };
}
