import { describe, expect, it } from "vitest";
import { config, node } from "../testing/given";
import { bridgedMtu, nudge } from "./bridge";
import { makePair } from "./pair";
import { fileName, wgQuick } from "./wgquick";

const pair = makePair();
const place = { address: "10.99.0.2", address6: "fd00::2" };

describe("the file for wg-quick", () => {
  it("has what the device needs", () => {
    expect(wgQuick(pair, place, node("node-1", { region: "here" }), config({ dns: ["10.99.0.1"], mtu: 1280 }))).toBe(
      `[Interface]
PrivateKey = ${pair.privateKey}
Address = 10.99.0.2/32, fd00::2/128
DNS = 10.99.0.1
MTU = 1280

[Peer]
# node-1, here
PublicKey = ${node("node-1").publicKey}
Endpoint = node-1.example:51820
AllowedIPs = 10.99.0.0/24, fd00::/64
PersistentKeepalive = 25
`,
    );
  });

  it("leaves out what there is not, and a prefix that is there twice", () => {
    const text = wgQuick(pair, { address: "10.99.0.2/32", address6: null }, node("node-1"), config());
    expect(text).toContain("Address = 10.99.0.2/32\n");
    expect(text).not.toContain("DNS");
  });

  it("leads through the bridge's local end, and holds the other nodes for when that one is gone", () => {
    const first = node("node-1", { bridges: ["vpn.example:443"] });
    const second = node("node-2", { publicKey: makePair().publicKey });
    const text = wgQuick(pair, place, first, config(), [first, second]) ?? "";
    expect(text).toContain("\nMTU = 1414\n");
    expect(text.split("\n\n").slice(1)).toEqual([
      `[Peer]
# node-1, through a TCP bridge
PublicKey = ${first.publicKey}
Endpoint = 127.0.0.1:51888
AllowedIPs = 10.99.0.0/24, fd00::/64
PersistentKeepalive = 25`,
      `[Peer]
# node-2, for when node-1 is gone
PublicKey = ${second.publicKey}
Endpoint = 127.0.0.1:51888
`,
    ]);
    expect(fileName(first, true)).toBe("berth-tcp.conf");
  });

  it.each([
    [1500, ["a.example:443"], 1500 - 20 - 20 - 12 - 2 - 32],
    [1420, ["a.example:443", "[2001:db8::1]:443"], 1394],
    [1380, ["a.example:443"], 1380],
  ])("has an MTU whose packets fit into one segment: %d, %j", (own, bridges, mtu) => {
    expect(bridgedMtu(own, [node("node-1", { bridges })])).toBe(mtu);
  });

  it.each([
    ["10.99.0.0/24", "10.99.0.1:9"],
    ["172.20.16.128/25", "172.20.16.129:9"],
    ["fd00::/64", null],
  ])("names the node inside the tunnel: %s", (subnet, there) => {
    expect(nudge(subnet)).toBe(there);
  });

  it("is not made without an address", () => {
    expect(wgQuick(pair, { address: null }, node("node-1"), config())).toBe(null);
  });

  it("takes no line from a name", () => {
    const evil = node("a\nPostUp = rm -rf /", { region: "x\u2028y\r\n[Peer]" });
    const text = wgQuick(pair, place, evil, config()) ?? "";
    expect(text.split("\n").filter((line) => /^(PostUp|\[Peer\])/.test(line))).toEqual(["[Peer]"]);
  });

  it("has a name that an interface can have", () => {
    expect(fileName(node("node-1"))).toBe("berth-node-1.conf");
    for (const id of ["frankfurt-datacentre-12", "ä/../..", "a b"]) {
      expect(fileName(node(id))).toMatch(/^[A-Za-z0-9_=+.-]{1,15}\.conf$/);
    }
  });
});
