import { screen, waitFor, within } from "@testing-library/react";
import { describe, expect, it, vi } from "vitest";
import type { Pass, TypedData } from "../../api/schemas";
import { type Scene, codeError, open, refusal, scene } from "../../testing/fakes";
import { ACCOUNT, config, device, node, pass } from "../../testing/given";
import { makePair } from "../../keys/pair";

const wallet = (): Promise<HTMLElement> => screen.findByRole("button", { name: "Fake wallet" });
const start = (): Promise<HTMLElement> => screen.findByRole("button", { name: "Make a key and register it" });

/** Signed in already. */
function member(): Scene {
  const on = scene();
  on.server.signedIn = { address: ACCOUNT, expiresAt: on.server.expiresAt };
  return on;
}

/** The same, with these passes and the page open. */
function signedIn(...held: Pass[]): Scene {
  const on = member();
  on.server.held = held;
  open(on);
  return on;
}

describe("signing in", () => {
  it("leads to passes and devices", async () => {
    const on = scene();
    on.server.held = [pass("7")];
    open(on);
    await on.user.click(await wallet());
    expect(await screen.findByRole("radio", { name: /Pass 7/ })).toHaveProperty("checked", true);
    expect(screen.getByText("None yet. The first one that you add appears here.")).toBeTruthy();
    expect(on.wallet.asked).toEqual(["eth_requestAccounts", "personal_sign"]);
  });

  it("loads no icon from elsewhere", async () => {
    open(scene());
    expect((await wallet()).querySelector("img")).toBe(null);
  });

  it.each([
    [4001, "You declined in the wallet."],
    [-32002, "Fake wallet is still waiting for an answer."],
    [4900, "Fake wallet is not connected to its network."],
    [4200, "Fake wallet cannot do this."],
    [-1, "Fake wallet could not do this."],
  ])("tells the wallet's error %d and stays possible", async (code, text) => {
    const on = scene();
    on.wallet.answers["personal_sign"] = () => {
      throw codeError(code);
    };
    open(on);
    await on.user.click(await wallet());
    expect((await screen.findByRole("alert")).textContent).toContain(text);
    expect(await wallet()).toHaveProperty("disabled", false);
  });

  it("takes no nonsense for an account or a signature", async () => {
    const on = scene();
    on.wallet.answers["eth_requestAccounts"] = () => [{}];
    open(on);
    await on.user.click(await wallet());
    expect((await screen.findByRole("alert")).textContent).toContain("gave no account");
    on.wallet.answers = { personal_sign: () => "yes" };
    await on.user.click(await wallet());
    await waitFor(() => expect(screen.getByRole("alert").textContent).toContain("without a signature"));
  });

  it("tells what the server refuses, why and what to do", async () => {
    const on = scene();
    on.server.fail.set("signIn", refusal(422, "counterfactual-wallet", "the wallet has no code yet"));
    open(on);
    await on.user.click(await wallet());
    const said = (await screen.findByRole("alert")).textContent;
    expect(said).toContain("This smart wallet is not deployed yet. The wallet has no code yet.");
    expect(said).toContain("Make any transaction with it first");
  });

  it("says when there is no wallet, but not before wallets had their time", async () => {
    open(scene(), "/connect", []);
    expect(await screen.findByText("Looking for wallets…")).toBeTruthy();
    expect(await screen.findByText("This browser has no wallet.")).toBeTruthy();
  });

  it("is offered again when the server did not answer", async () => {
    const on = member();
    on.server.fail.set("session", refusal(503, "chain-unreachable"));
    open(on);
    expect(await screen.findByText("The chain does not answer just now.")).toBeTruthy();
  });

  it("ends when its time is over", async () => {
    const on = scene();
    on.server.signedIn = { address: ACCOUNT, expiresAt: Date.now() / 1000 + 0.3 };
    open(on);
    expect(await screen.findByText("Your session has ended.")).toBeTruthy();
  });
});

describe("a device", () => {
  it("is registered with a proof that the server accepts, and its file offered for the nearest node", async () => {
    const on = signedIn(pass("7"));
    await on.user.click(await start());
    const ready = await screen.findByRole("heading", { name: "Your device may come in" });
    expect(document.activeElement).toBe(ready);
    expect(await screen.findByRole("button", { name: "Download berth-node-1.conf" })).toBeTruthy();
    expect(on.server.registrations).toHaveLength(1);
    expect(on.wallet.asked).toEqual(["eth_requestAccounts", "eth_chainId", "eth_signTypedData_v4"]);
    const sent = JSON.stringify(on.server.registrations);
    const key = on.server.registrations[0]?.key ?? "";
    expect(on.keys.find(key)).not.toBe(null);
    expect(sent).not.toContain(on.keys.find(key)?.privateKey);
    expect(localStorage).toHaveLength(0);
  });

  it("waits until a node has it", async () => {
    const on = member();
    on.server.held = [pass("7")];
    on.server.letIn = false;
    open(on);
    await on.user.click(await start());
    const step = await screen.findByText("The nodes let the device in");
    await waitFor(() => expect(step.closest("li")?.getAttribute("aria-current")).toBe("step"));
    expect(screen.queryByRole("heading", { name: "Your device may come in" })).toBe(null);
    on.server.bound = on.server.bound.map((one) => ({ ...one, status: "active" }));
    expect(await screen.findByRole("heading", { name: "Your device may come in" }, { timeout: 3000 })).toBeTruthy();
  });

  it("is not signed for when the server asks for something else", async () => {
    const on = signedIn(pass("7"));
    const lies: ((data: TypedData) => TypedData)[] = [
      (data) => ({ ...data, primaryType: "Revoke" }),
      (data) => ({ ...data, domain: { ...data.domain, chainId: 1 } }),
      (data) => ({ ...data, domain: { ...data.domain, verifyingContract: ACCOUNT } }),
      (data) => ({ ...data, message: { ...data.message, tokenId: "8" } }),
      (data) => ({ ...data, message: { ...data.message, publicKey: `0x${"00".repeat(32)}` } }),
    ];
    for (const lie of lies) {
      on.server.twist = lie;
      // oxlint-disable-next-line no-await-in-loop
      await on.user.click(await start());
      // oxlint-disable-next-line no-await-in-loop
      expect((await screen.findByRole("alert")).textContent).toContain("not the one that was asked for");
    }
    expect(on.wallet.asked).not.toContain("eth_signTypedData_v4");
    expect(on.server.registrations).toHaveLength(0);
  });

  it("brings the wallet to the right network first", async () => {
    const on = signedIn(pass("7"));
    on.wallet.chain = 1;
    on.wallet.answers["wallet_switchEthereumChain"] = () => {
      on.wallet.chain = 31337;
      return null;
    };
    await on.user.click(await start());
    expect(await screen.findByRole("heading", { name: "Your device may come in" })).toBeTruthy();
  });

  it("is refused on a network that the wallet does not know, even where that is wrapped", async () => {
    const on = signedIn(pass("7"));
    on.wallet.chain = 1;
    on.wallet.answers["wallet_switchEthereumChain"] = () => {
      throw Object.assign(codeError(-32603), { data: { originalError: { code: 4902 } } });
    };
    await on.user.click(await start());
    expect((await screen.findByRole("alert")).textContent).toContain("does not know the network berth dev (chain 31337)");
  });

  it("is not signed for by another account", async () => {
    const on = signedIn(pass("7"));
    on.wallet.answers["eth_requestAccounts"] = () => [config().collection];
    await on.user.click(await start());
    expect((await screen.findByRole("alert")).textContent).toContain("is on another account");
  });

  it("asks to sign in again when the session ended meanwhile", async () => {
    const on = signedIn(pass("7"));
    await start();
    on.server.signedIn = null;
    await on.user.click(await start());
    expect(await screen.findByText("Your session has ended.")).toBeTruthy();
  });

  it("needs a pass that this account may use", async () => {
    signedIn(pass("7", { usable: false }), pass("8", { expires: 1 }), pass("9", { role: "user" }));
    expect(await screen.findByRole("radio", { name: /Pass 7 yours, let to another/ })).toHaveProperty("disabled", true);
    expect(screen.getByRole("radio", { name: /Pass 8 yours, has ended/ })).toHaveProperty("disabled", true);
    expect(screen.getByRole("radio", { name: /Pass 9 rented by you/ })).toHaveProperty("checked", true);
  });

  it("needs a pass at all", async () => {
    const on = signedIn();
    expect(await screen.findByText("This account holds no pass.")).toBeTruthy();
    on.server.held = [pass("7")];
    await on.user.click(screen.getByRole("button", { name: "Look again" }));
    expect(await screen.findByRole("radio", { name: /Pass 7/ })).toBeTruthy();
  });

  it("is offered another node when the nearest dies, for a file that leads nowhere else", async () => {
    vi.spyOn(HTMLAnchorElement.prototype, "click").mockReturnValue(); // it would navigate
    const on = signedIn(pass("7"));
    await on.user.click(await start());
    await on.user.click(await screen.findByRole("button", { name: "Download berth-node-1.conf" }));
    on.latencies.set("/nodes/node-1/ping", null);
    expect(await screen.findByText(/Your file leads to node-1\. For node-2, download it again/, {}, { timeout: 4000 })).toBeTruthy();
  });

  it("goes through a bridge where UDP is blocked, by the nearest node that has one, with what to run", async () => {
    const click = vi.spyOn(HTMLAnchorElement.prototype, "click").mockReturnValue();
    const on = member();
    on.server.held = [pass("7")];
    on.server.offeredNodes = [node("node-1"), node("node-2", { bridges: ["two.example:443", "two.example:8443"] })];
    open(on);
    await on.user.click(await start());
    await on.user.click(await screen.findByRole("button", { name: "Download berth-node-1.conf" }));
    const blocked = screen.getByRole("checkbox", { name: /UDP blocked/ });
    await on.user.click(blocked);
    expect(screen.getByText(/Your file leads to node-1\. For node-2 through a bridge, download it again/)).toBeTruthy();
    expect(screen.queryByRole("button", { name: /QR code/ })).toBe(null);
    expect([...screen.getByRole("combobox", { name: "Node" }).querySelectorAll("option")].map((one) => one.value)).toEqual(["", "node-2"]);
    await on.user.click(screen.getByRole("button", { name: "Download berth-tcp.conf" }));
    expect(click).toHaveBeenCalledTimes(2);
    expect(screen.queryByText(/Your file leads to/)).toBe(null);
    const commands = [...screen.getByRole("region", { name: "Through the bridge" }).querySelectorAll("code")].map((one) => one.textContent);
    expect(commands).toEqual([
      `sudo berth tunnel --url ${window.location.origin} --config berth-tcp.conf`,
      "sudo wg-quick up ./berth-tcp.conf",
      "berth-bridge udp2tcp --udp-listen 127.0.0.1:51888 --tcp-forward two.example:443 --tcp-forward two.example:8443 --nudge 10.99.0.1:9",
      "udp2tcp --udp-listen 127.0.0.1:51888 --tcp-forward two.example:443",
    ]);
    await on.user.click(blocked);
    expect(await screen.findByRole("button", { name: "Download berth-node-1.conf" })).toBeTruthy();
  });

  it("offers no bridge where there is none", async () => {
    const on = signedIn(pass("7"));
    await on.user.click(await start());
    const blocked = await screen.findByRole("checkbox", { name: /UDP blocked\? No node has a TCP bridge/ });
    expect(blocked).toHaveProperty("disabled", true);
  });

  it("is kept in the browser only when asked, and forgotten when revoked", async () => {
    const on = signedIn(pass("7"));
    await on.user.click(await start());
    await on.user.click(await screen.findByRole("checkbox", { name: /Keep the key/ }));
    expect(localStorage).toHaveLength(1);
    await on.user.click(screen.getByRole("button", { name: /^Revoke/ }));
    await on.user.click(screen.getByRole("button", { name: "Revoke it" }));
    expect(await screen.findByText("None yet. The first one that you add appears here.")).toBeTruthy();
    expect(localStorage).toHaveLength(0);
    expect(screen.queryByRole("heading", { name: "Your device may come in" })).toBe(null);
  });
});

describe("the list of devices", () => {
  it("shows state, expiry, handshake and traffic", async () => {
    const on = scene();
    const now = Date.now() / 1000;
    on.server.signedIn = { address: ACCOUNT, expiresAt: on.server.expiresAt };
    on.server.bound = [
      device("7", makePair().publicKey, { connected: true, lastHandshake: now - 30, node: "node-2", received: 2048, sent: 5, expires: now + 3700 }),
      device("8", makePair().publicKey, { status: "replaced" }),
    ];
    open(on);
    const [seven, eight] = await screen.findAllByRole("listitem");
    expect(seven?.textContent).toMatch(/Connected.*10\.99\.0\.2.*ends in 1 h 1 min.*(29|3\d) s ago through node-2.*2\.0 KiB, 5 B/);
    expect(eight?.textContent).toContain("Replaced");
    expect(within(eight as HTMLElement).queryByRole("button", { name: /Revoke/ })).toBe(null);
  });

  it("says what is old when the server stops answering", async () => {
    const on = member();
    on.server.fail.set("devices", refusal(503, "chain-unreachable"));
    open(on);
    expect((await screen.findByRole("alert")).textContent).toContain("The chain does not answer just now.");
  });
});

describe("the views around it", () => {
  it("are links with a heading each", async () => {
    const on = member();
    on.server.offeredNodes = [node("node-1", { region: "here" }), node("node-2", { healthy: false }), node("node-3", { probeUrl: null })];
    on.server.state = { status: "failing", checks: { chain: { ok: false, title: "Chain", about: "Holds the passes." } } };
    open(on);
    await on.user.click(screen.getByRole("link", { name: "Nodes" }));
    expect(document.activeElement).toBe(screen.getByRole("heading", { name: "Nodes" }));
    await screen.findByText("Nearest");
    const heads = [...document.querySelectorAll(".nodes .device-head")].map((head) => head.textContent);
    expect(heads).toEqual(["node-1NearestUp", "node-2Not well", "node-3Not measured"]);
    await on.user.click(screen.getByRole("link", { name: "Status" }));
    expect(await screen.findByText("Not working: a part that is needed is down.")).toBeTruthy();
    expect(screen.getByText("Holds the passes.")).toBeTruthy();
    expect(document.title).toBe("Status · berth");
  });

  it("survive a view that throws", async () => {
    const on = member();
    on.server.offeredNodes = [null as unknown as ReturnType<typeof node>];
    open(on, "/nodes");
    expect((await screen.findByRole("alert")).textContent).toContain("This view has failed.");
    await on.user.click(screen.getByRole("link", { name: "Status" }));
    expect(await screen.findByText("Everything is up.")).toBeTruthy();
  });
});
