import { fireEvent, screen, waitFor, within } from "@testing-library/react";
import { beforeEach, describe, expect, it, vi } from "vitest";
import { type Scene, open, refusal, scene } from "../../testing/fakes";
import { ACCOUNT, pass } from "../../testing/given";
import { FakeSocket, lease, logLine } from "../../testing/leases";

beforeEach(() => FakeSocket.install());

const submit = (): Promise<HTMLElement> => screen.findByRole("button", { name: "Lease it" });
const card = (name: string): Promise<HTMLElement> => screen.findByRole("listitem", { name: `Lease ${name}` });

/** At the page, with these leases. */
function holding(...held: ReturnType<typeof lease>[]): Scene {
  const on = scene();
  on.leases.hold(...held);
  open(on, "/leases");
  return on;
}

describe("the view", () => {
  it("says that it is asking, and then that nothing runs", async () => {
    holding();
    expect(screen.getByText("Asking what can be leased…")).toBeTruthy();
    expect(await screen.findByText(/None runs/)).toBeTruthy();
    expect(document.title).toBe("Leases · berth");
  });

  it("says when the stack leases nothing, and when it cannot be asked", async () => {
    const on = scene();
    on.leases.fail.set("scenarios", refusal(404, "status-404"));
    open(on, "/leases");
    expect(await screen.findByText("This stack leases no containers.")).toBeTruthy();
  });

  it("can be tried again", async () => {
    const on = scene();
    on.leases.fail.set("scenarios", refusal(503, "unavailable"));
    open(on, "/leases");
    await on.user.click(await screen.findByRole("button", { name: "Try again" }));
    expect(await submit()).toBeTruthy();
  });

  it("survives an answer that breaks it", async () => {
    vi.spyOn(console, "error").mockReturnValue();
    const on = scene();
    // A lease without containers is what the schema would have stopped.
    on.leases.hold(lease("a", { containers: [null as never, null as never] }));
    open(on, "/leases");
    expect((await screen.findByRole("alert")).textContent).toContain("This view has failed.");
    expect(await submit()).toBeTruthy();
  });
});

describe("the form", () => {
  it("leases what was chosen, shows it, and says so", async () => {
    const on = holding();
    await on.user.click(await screen.findByRole("radio", { name: /A stack/ }));
    await on.user.click(screen.getByRole("button", { name: "15 min" }));
    await on.user.click(await submit());
    expect(await card("lease-1")).toBeTruthy();
    expect(screen.getByText(/lease-1 is yours/)).toBeTruthy();
    const asked = on.leases.asked.find((one) => one.call === "provision");
    expect(asked?.with).toMatchObject({ asked: { imageType: "stack", durationMinutes: 15, exposure: "public" } });
    expect(asked?.by).toEqual({ access: "open", username: "guest" });
  });

  it.each([
    ["0", "At least 1 min."],
    ["121", "At most 120 minutes (2 h)."],
    ["1.5", "Enter whole minutes."],
    ["", "Enter whole minutes."],
  ])("takes no %o for minutes", async (text, said) => {
    const on = holding();
    const input = await screen.findByRole("spinbutton", { name: "For how many minutes?" });
    await on.user.clear(input);
    if (text) await on.user.type(input, text);
    await on.user.click(await submit());
    expect(screen.getByRole("alert").textContent).toBe(said);
    expect(input.getAttribute("aria-invalid")).toBe("true");
    expect(document.activeElement).toBe(input);
    expect(on.leases.asked.some((one) => one.call === "provision")).toBe(false);
  });

  it("asks again under the same key after a broken answer, under another for another lease", async () => {
    const on = holding();
    on.leases.fail.set("provision", refusal(0, "no-answer"));
    await on.user.click(await submit());
    await screen.findByText("The server cannot do this just now.", { exact: false }).catch(() => null);
    await on.user.click(await submit());
    await card("lease-1");
    await on.user.click(await submit());
    await card("lease-2");
    const keys = on.leases.asked.filter((one) => one.call === "provision").map((one) => (one.with as { key: string }).key);
    expect(keys[0]).toBe(keys[1]);
    expect(keys[2]).not.toBe(keys[1]);
  });

  it("says what the server refuses, why and what to do", async () => {
    const on = holding();
    on.leases.fail.set("provision", refusal(429, "quota-full", "all 100 places are taken until 14:05"));
    await on.user.click(await submit());
    const said = (await screen.findAllByRole("alert")).map((one) => one.textContent).join();
    expect(said).toContain("All places are taken. All 100 places are taken until 14:05.");
  });

  it("needs to know the pass of a lease that the tunnel alone reaches", async () => {
    const on = holding();
    await on.user.click(await screen.findByRole("radio", { name: /Through the tunnel only/ }));
    const input = screen.getByRole("textbox", { name: "Which pass?" });
    await on.user.click(await submit());
    expect(document.activeElement).toBe(input);
    await on.user.type(input, "42{Enter}");
    await waitFor(() => expect(on.leases.asked.find((one) => one.call === "provision")?.with).toMatchObject({ asked: { exposure: "vpn", pass: "42" } }));
  });

  it("takes a change of name for another caller", async () => {
    const on = holding(lease("hers", { username: "alice" }));
    await on.user.click(await screen.findByRole("button", { name: "Use another name" }));
    await on.user.type(screen.getByRole("textbox", { name: "Your name" }), "Alice{Enter}");
    expect(screen.getByRole("alert").textContent).toContain("small letters");
    await on.user.clear(screen.getByRole("textbox", { name: "Your name" }));
    await on.user.type(screen.getByRole("textbox", { name: "Your name" }), "alice{Enter}");
    expect(await card("hers")).toBeTruthy();
    expect(localStorage.getItem("berth.leases.name")).toBe("alice");
  });
});

describe("a lease", () => {
  it("follows events", async () => {
    const on = holding(lease("fox", { status: "starting", phase: "creating" }));
    const row = await card("fox");
    expect(within(row).getByText("Starting")).toBeTruthy();
    expect(within(row).queryByRole("button", { name: /Open/ })).toBe(null);
    await waitFor(() => expect(on.leases.streams).toHaveLength(1));
    on.leases.happen("id-fox", "ready", { status: "running", phase: "ready" }, "fox runs");
    expect(await within(row).findByText("Running")).toBeTruthy();
    expect(screen.getByText("fox runs")).toBeTruthy();
  });

  it("says why and when it stops before it does, and can be extended there and then", async () => {
    const on = holding(lease("fox", { remainingSeconds: 50, warned: true, why: "not shown" }));
    const row = await card("fox");
    expect(row.textContent).toMatch(/It stops in \d+ s, at .*its time is over then\./);
    expect(within(row).getByText("fox stops in less than 1 min.")).toBeTruthy();
    await on.user.click(within(row).getByRole("button", { name: "Extend fox" }));
    const input = within(row).getByRole("spinbutton", { name: "How many minutes more?" });
    expect(document.activeElement).toBe(input);
    await on.user.clear(input);
    await on.user.type(input, "10{Enter}");
    await waitFor(() => expect(row.textContent).not.toContain("It stops in"));
    expect(within(row).getByRole("timer").textContent).toBe("10 min");
  });

  it("is not warned of at once because it is short", async () => {
    holding(lease("fox", { remainingSeconds: 240 }));
    expect((await card("fox")).textContent).not.toContain("It stops in");
  });

  it("that the tunnel alone reaches has nothing to open from here", async () => {
    holding(lease("fox", { exposure: "vpn", pass: "7" }));
    expect((await card("fox")).textContent).toContain("through the tunnel of pass 7 only");
    expect(within(await card("fox")).queryByRole("button", { name: /Open/ })).toBe(null);
  });

  it("is calm while there is time", async () => {
    holding(lease("fox", { remainingSeconds: 3_000 }));
    const timer = within(await card("fox")).getByRole("timer");
    expect(timer.textContent).toMatch(/^(49|50) min$/);
    expect(timer.getAttribute("aria-live")).toBe("off");
  });

  it("can be paused and resumed, with its time kept", async () => {
    const on = holding(lease("fox"));
    await on.user.click(await screen.findByRole("button", { name: "Pause fox" }));
    const row = await card("fox");
    expect(await within(row).findByText("Paused")).toBeTruthy();
    expect(row.textContent).toContain("1 h, kept while paused");
    await on.user.click(within(row).getByRole("button", { name: "Resume fox" }));
    expect(await within(row).findByText("Running")).toBeTruthy();
  });

  it("is ended only when one is sure, with the keyboard on the harmless answer", async () => {
    const on = holding(lease("fox"));
    await on.user.click(await screen.findByRole("button", { name: "End fox" }));
    expect(document.activeElement).toBe(screen.getByRole("button", { name: "Keep it" }));
    await on.user.keyboard("{Enter}");
    expect(document.activeElement).toBe(screen.getByRole("button", { name: "End fox" }));
    expect(on.leases.asked.some((one) => one.call === "remove")).toBe(false);
    await on.user.click(screen.getByRole("button", { name: "End fox" }));
    await on.user.click(screen.getByRole("button", { name: "End it" }));
    expect(await screen.findByText(/None runs/)).toBeTruthy();
    expect(screen.getByText("Ended lately (1)")).toBeTruthy();
    expect(screen.getByText(/Its holder ended it/)).toBeTruthy();
  });

  it("opens in a tab of its own, with a session", async () => {
    const tab = { opener: {}, closed: false, location: { replace: vi.fn() }, close: vi.fn() };
    vi.stubGlobal("open", vi.fn(() => tab));
    const on = holding(lease("fox"));
    await on.user.click(await screen.findByRole("button", { name: "Open fox in a new tab" }));
    await waitFor(() => expect(tab.location.replace).toHaveBeenCalledWith("http://id-fox.test.localhost/?berth_session=jwt"));
    expect(tab.opener).toBe(null);
    vi.stubGlobal("open", vi.fn(() => null));
    await on.user.click(screen.getByRole("button", { name: "Open fox in a new tab" }));
    const link = await screen.findByRole("link", { name: "Open fox here" });
    expect([link.getAttribute("href"), link.getAttribute("rel")]).toEqual(["http://id-fox.test.localhost/?berth_session=jwt", "noopener noreferrer"]);
  });

  it("shows what failed and what it uses", async () => {
    const failure = { step: "pull", message: "The image berth/nothing is not there.", attempts: 3, dead: true, at: 0, nextAt: null };
    const used = { cpuPercent: 3.14, memoryBytes: 12 * 1024 ** 2, memoryLimitBytes: 128 * 1024 ** 2, networkRxBytes: 1024, networkTxBytes: 0, pids: 2 };
    holding(lease("bad", { status: "error", failure }), lease("fox", { resources: used }));
    expect((await card("bad")).textContent).toContain("The image berth/nothing is not there. It is not tried again.");
    expect((await card("fox")).textContent).toContain("3.1 %");
    expect((await card("fox")).textContent).toContain("12 MiB of 128 MiB");
  });
});

describe("the log", () => {
  it("shows lines as they come, gaps as such, and an end", async () => {
    const on = holding(lease("fox"));
    const toggle = await screen.findByRole("button", { name: "Log of fox" });
    await on.user.click(toggle);
    const log = screen.getByRole("region", { name: "Log of fox" });
    expect(within(log).getByText("Connecting")).toBeTruthy();
    FakeSocket.last.open();
    FakeSocket.last.say(logLine(1), logLine(2, { level: "error", stream: "stderr", message: "boom" }), logLine(9, { type: "gap", lost: 6, message: "The log was cut." }));
    expect(await within(log).findByText("Live")).toBeTruthy();
    expect(await within(log).findByText(/boom/)).toHaveProperty("className", "loud");
    expect(within(log).getByRole("note").textContent).toBe("Gap: 6 lines are gone. The log was cut.");
    FakeSocket.last.drop();
    expect(await within(log).findByText("Connection lost, trying again")).toBeTruthy();
    await waitFor(() => expect(FakeSocket.made).toHaveLength(2));
    FakeSocket.last.open();
    FakeSocket.last.say(logLine(10, { type: "end", message: "It has ended." }));
    expect(await within(log).findByText("Complete")).toBeTruthy();
    await on.user.click(screen.getByRole("button", { name: "Close the log of fox" }));
    expect(FakeSocket.last.closed).toBe(true);
  });

  it("stops following when one reads on top, and copies what is there", async () => {
    const on = holding(lease("fox"));
    await on.user.click(await screen.findByRole("button", { name: "Log of fox" }));
    FakeSocket.last.open();
    FakeSocket.last.say(logLine(1));
    const view = screen.getByRole("log");
    await waitFor(() => expect(view.textContent).toContain("line 1"));
    const follow = screen.getByRole("button", { name: "Follow" });
    expect(follow.getAttribute("aria-pressed")).toBe("true");
    Object.defineProperties(view, { scrollHeight: { value: 1000 }, clientHeight: { value: 100 } });
    view.scrollTop = 10;
    fireEvent.scroll(view);
    expect(follow.getAttribute("aria-pressed")).toBe("false");
    await on.user.click(follow);
    expect(view.scrollTop).toBe(1000);
    await on.user.click(screen.getByRole("button", { name: "Copy" }));
    expect(await navigator.clipboard.readText()).toBe("2023-11-14T22:13:21.000Z info line 1");
  });
});

describe("with tokens", () => {
  it("registers a name, shows the token once, and goes on with it", async () => {
    const on = scene();
    on.leases.access = "token";
    open(on, "/leases");
    await on.user.type(await screen.findByRole("textbox", { name: "Name" }), "alice");
    await on.user.click(screen.getByRole("button", { name: "Register" }));
    expect((await screen.findByText(/That name is somebody's/)).closest("[role=alert]")).toBeTruthy();
    await on.user.type(screen.getByRole("textbox", { name: "Name" }), "2");
    await on.user.click(screen.getByRole("button", { name: "Register" }));
    expect(await screen.findByText("token-of-alice2")).toBeTruthy();
    await on.user.click(screen.getByRole("button", { name: "Go on" }));
    expect(await submit()).toBeTruthy();
    expect(on.leases.asked.at(-1)?.by).toEqual({ access: "token", username: "alice2", token: "token-of-alice2" });
    expect([localStorage.getItem("berth.leases.token"), sessionStorage.getItem("berth.leases.token")]).toEqual([null, "alice2 token-of-alice2"]);
  });

  it("takes a token that one has, and forgets one that counts no more", async () => {
    const on = scene();
    on.leases.access = "token";
    open(on, "/leases");
    await on.user.type(await screen.findByLabelText("API token"), "bad-token");
    await on.user.click(screen.getByRole("button", { name: "Use it" }));
    expect(await screen.findByText(/does not count any more/)).toBeTruthy();
    await on.user.clear(screen.getByLabelText("API token"));
    await on.user.type(screen.getByLabelText("API token"), "good-token");
    await on.user.click(screen.getByRole("button", { name: "Use it" }));
    expect(await submit()).toBeTruthy();
    on.leases.tokens.clear();
    await on.user.click(await submit());
    expect(await screen.findByRole("button", { name: "Register" })).toBeTruthy();
    expect(sessionStorage.getItem("berth.leases.token")).toBe(null);
  });
});

describe("with passes", () => {
  it("asks to sign in, and offers the tunnel", async () => {
    const on = scene();
    on.leases.access = "pass";
    on.server.held = [pass("7"), pass("8", { registered: true })];
    open(on, "/leases");
    await on.user.click(await screen.findByRole("button", { name: "Fake wallet" }));
    await on.user.click(await screen.findByRole("radio", { name: /Through the tunnel only/ }));
    await waitFor(() => expect(screen.getByRole("combobox", { name: "Which pass?" })).toHaveProperty("value", "8"));
    await on.user.selectOptions(screen.getByRole("combobox", { name: "Which pass?" }), "7");
    await on.user.click(await submit());
    await waitFor(() => expect(on.leases.asked.find((one) => one.call === "provision")).toMatchObject({ by: { access: "pass" }, with: { asked: { exposure: "vpn", pass: "7" } } }));
  });

  it("signs out where the session is over", async () => {
    const on = scene();
    on.leases.access = "pass";
    on.server.signedIn = { address: ACCOUNT, expiresAt: on.server.expiresAt };
    open(on, "/leases");
    on.leases.fail.set("provision", refusal(401, "signed-out"));
    await on.user.click(await submit());
    expect(await screen.findByText("Your session has ended.")).toBeTruthy();
  });
});

describe("for operators", () => {
  it("needs the admin token where the stack has one", async () => {
    const on = scene();
    on.leases.adminToken = "operators-only";
    on.leases.hold(lease("his", { username: "bob" }), lease("hers", { username: "alice" }));
    open(on, "/operate");
    await on.user.type(await screen.findByLabelText("Admin token of this stack"), "wrong{Enter}");
    expect(await screen.findByText("This is not the admin token.")).toBeTruthy();
    await on.user.type(screen.getByLabelText("Admin token of this stack"), "operators-only{Enter}");
    expect(await card("his")).toBeTruthy();
    await on.user.type(screen.getByRole("searchbox", { name: "Only with" }), "ali");
    await waitFor(() => expect(screen.queryByRole("listitem", { name: "Lease his" })).toBe(null));
    expect(screen.getByText("1 of 2")).toBeTruthy();
  });

  it("drains, tells it, and gives leases again", async () => {
    const on = scene();
    on.leases.hold(lease("his", { username: "bob" }));
    open(on, "/operate");
    await on.user.click(await screen.findByRole("button", { name: "Drain the stack" }));
    await on.user.click(screen.getByRole("button", { name: "Drain" }));
    expect(await screen.findByText("No new leases are given.")).toBeTruthy();
    await on.user.click(screen.getByRole("button", { name: /Give leases again/ }));
    await on.user.click(screen.getByRole("button", { name: "Give them" }));
    await waitFor(() => expect(screen.queryByText("No new leases are given.")).toBe(null));
    await waitFor(() => expect(on.leases.streams).toHaveLength(1));
    on.leases.happen("id-his", "extended", {}, "his runs until 15:00");
    expect((await screen.findByText(/his runs until 15:00/)).textContent).toContain("bob");
  });
});
