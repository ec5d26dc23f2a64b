"""Leases as people meet them: a real Chromium, the real image of the page, the real manager, real containers."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Locator, Page, expect

from berth.chain import dev
from tests.browser.chromium import free_port
from tests.browser.conftest import Service, Visit
from tests.browser.conftest import World as Chain
from tests.browser.front import Front
from tests.browser.test_views import look, phone, press_until
from tests.browser.wallet import BrowserWallet
from tests.integration.leases.conftest import servers
from tests.integration.leases.world import Servers, World, catalogue, eventually, template

__all__ = ["servers"]
pytestmark = [pytest.mark.docker]
talk = "i=0; while :; do i=$((i+1)); echo line $i; [ $((i % 20)) != 7 ] || echo trouble $i >&2; sleep 0.1; done"
scenarios = {
    "basic": {"title": "A shell", "description": "An empty Debian that waits.", "containers": {"main": template()}},
    "talker": {
        "title": "A talker",
        "description": "Counts aloud, for a look at logs.",
        "containers": {"main": template(talk)},
        "pool": 1,
        "maxMinutes": 120,
    },
    "advanced": {
        "title": "Two of them",
        "description": "A pair on a network of its own.",
        "containers": {"main": template(talk), "side": template("echo here I am; exec sleep infinity")},
    },
    "absent": {"title": "A mistake", "containers": {"main": template(image="berth-test/not-there:1")}},
}
crossed = [("desk", "dark"), ("phone", "light")]


@dataclass
class Place:
    """The page at ``url`` before a manager of its own."""

    world: World
    front: Front

    @property
    def url(self) -> str:
        return self.front.url


@pytest.fixture(scope="module")
def placed(
    servers: Servers, page_server: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[..., Place]]:
    """Makes places; the settings of their managers by name."""
    made: list[Place] = []

    def place(**settings: str) -> Place:
        front = Front(0, {})
        folder = tmp_path_factory.mktemp("leases")
        only = {"scenarios": scenarios, "defaultScenario": "talker"}
        world = World(servers, folder, catalogue() | only, PUBLIC_URL=front.url, **settings)
        made.append(Place(world, front))
        world.start()
        service = f"127.0.0.1:{world.port}"
        front.routes |= {"/": page_server, "/api/": service, "/ws/": service}
        return made[-1]

    yield place
    for one in made:
        one.front.close()
        # In order first: one that is killed may leave Docker at work on a container for the pool.
        one.world.stop()
        one.world.close()


@pytest.fixture(scope="module")
def place(placed: Callable[..., Place]) -> Place:
    return placed(MAX_PER_USER="4")


@pytest.fixture
def visitor(browser: Browser, place: Place) -> Iterator[Callable[..., Visit]]:
    """Opens the page of leases, with options of the context."""
    contexts: list[BrowserContext] = []

    def visit(
        path: str = "/leases",
        url: str | None = None,
        name: str = "",
        wallet: BrowserWallet | None = None,
        **options: Any,
    ) -> Visit:
        context = browser.new_context(**options)
        contexts.append(context)
        context.set_default_timeout(20_000)
        if name:
            context.add_init_script(f"localStorage.setItem('berth.leases.name', '{name}')")
        if wallet:
            wallet.put_into(context)
        made = Visit(context.new_page(), wallet)
        made.watch()
        made.page.goto((url or place.url) + path)
        return made

    yield visit
    for context in contexts:
        context.close()


def card(page: Page, name: str) -> Locator:
    return page.get_by_role("listitem", name=f"Lease {name}", exact=True)


def ask(page: Page, scenario: str, minutes: int = 5) -> str:
    """Leases one through the form; its name."""
    page.get_by_role("radio", name=scenario).check()
    page.get_by_label("For how many minutes?").fill(str(minutes))
    page.get_by_role("button", name="Lease it").click()
    told = page.get_by_text("is yours for")
    told.wait_for()
    return told.inner_text().split(" is yours")[0]


def unexpected(visit: Visit) -> list[str]:
    """Without those of the browser about what it may not have, or not yet: here is no access API to sign in with."""
    return [one for one in visit.complaints if not re.search(r"status of (401|403|404)", one)]


def until_line(page: Page, number: int) -> None:
    """Waits for a line of the log.  Playwright's own waiting for a function would offend the page's policy."""
    eventually(f"line {number}", lambda: (numbers(page) or [0])[-1] >= number)


def numbers(page: Page) -> list[int]:
    """Of the lines that the log shows."""
    shown = page.get_by_role("log").locator("p").all_inner_texts()
    return [int(found[1]) for text in shown if (found := re.search(r" line (\d+)$", text))]


def test_a_lease_from_the_form_to_its_end(visitor: Callable[..., Visit], place: Place) -> None:
    visit = visitor(name="alice")
    page = visit.page
    expect(page.get_by_text("None runs.")).to_be_visible()
    name = ask(page, "A talker")
    mine = card(page, name)
    expect(mine.get_by_text("Running", exact=True)).to_be_visible()
    expect(mine.get_by_role("timer")).to_have_text(re.compile(r"^[45] min$"))
    expect(mine.get_by_text(re.compile(r"\d [KM]iB of 32 MiB"))).to_be_visible()
    (made,) = place.world.records(user="alice")
    assert made["name"] == name

    mine.get_by_role("button", name="Extend").first.click()
    mine.get_by_label("How many minutes more?").fill("30")
    page.keyboard.press("Enter")
    expect(mine.get_by_role("timer")).to_have_text(re.compile(r"^3[45] min$"))

    mine.get_by_role("button", name="Pause").click()
    expect(mine.get_by_text("Paused", exact=True)).to_be_visible()
    (container,) = place.world.containers(made["_id"])
    assert container.status == "paused"
    mine.get_by_role("button", name="Resume").click()
    expect(mine.get_by_text("Running", exact=True)).to_be_visible()

    mine.get_by_role("button", name=f"End {name}", exact=True).click()
    expect(mine.get_by_role("button", name="Keep it")).to_be_focused()
    mine.get_by_role("button", name="End it").click()
    expect(page.get_by_text("None runs.")).to_be_visible()
    page.get_by_text("Ended lately (1)").click()
    expect(card(page, name)).to_contain_text("Ended")
    assert not place.world.containers(made["_id"])
    assert unexpected(visit) == []


def test_a_log_goes_on_after_a_break_with_no_line_lost_or_doubled(visitor: Callable[..., Visit], place: Place) -> None:
    visit = visitor(name="bob")
    page = visit.page
    mine = card(page, ask(page, "A talker"))
    mine.get_by_role("button", name="Log of").click()
    expect(mine.get_by_text("Live", exact=True)).to_be_visible()
    until_line(page, 15)
    assert mine.locator(".log p.loud").count() >= 1
    assert place.front.cut() >= 1
    expect(mine.get_by_text("Connection lost, trying again")).to_be_visible()
    expect(mine.get_by_text("Live", exact=True)).to_be_visible()
    before = numbers(page)[-1]
    until_line(page, before + 20)
    seen = numbers(page)
    assert seen == list(range(1, seen[-1] + 1))

    # Following: at the end, unless one reads on top.
    at_end = "(e => e.scrollHeight - e.scrollTop - e.clientHeight < 40)(document.querySelector('.log'))"
    eventually("it follows", lambda: bool(page.evaluate(at_end)))
    page.get_by_role("log").hover()
    page.mouse.wheel(0, -5000)
    expect(mine.get_by_role("button", name="Follow")).to_have_attribute("aria-pressed", "false")
    before = numbers(page)[-1]
    until_line(page, before + 5)
    assert not page.evaluate(at_end)
    visit.shot("leases-log", whole=False)
    mine.get_by_role("button", name="Follow").click()
    eventually("it follows", lambda: bool(page.evaluate(at_end)))


def test_what_happens_elsewhere_is_seen_at_once(visitor: Callable[..., Visit], place: Place) -> None:
    page = visitor(name="carol").page
    expect(page.get_by_text("Live", exact=True)).to_be_visible()
    made = place.world.provision("basic", user="carol")
    started = time.monotonic()
    expect(card(page, made["name"]).get_by_text("Running", exact=True)).to_be_visible(timeout=3_000)
    place.world.call("DELETE", f"/api/containers/{made['id']}", "carol", params={"wait": 10})
    expect(card(page, made["name"])).not_to_be_visible(timeout=3_000)
    assert time.monotonic() - started < 9  # before the list could have told


def test_the_end_is_told_before_it_comes_and_why_after(visitor: Callable[..., Visit], place: Place) -> None:
    visit = visitor(name="dave")
    page = visit.page
    made = place.world.provision("basic", user="dave", minutes=1)
    mine = card(page, made["name"])
    expect(mine.get_by_role("timer")).to_be_visible()
    assert "It stops in" not in mine.inner_text()
    place.world.shorten(made["id"], 14)
    expect(mine).to_contain_text(re.compile(r"It stops in \d+ s, at \d.*: its time is over then\."))
    visit.shot("leases-warning")
    expect(mine).not_to_be_visible(timeout=30_000)
    page.get_by_text("Ended lately (1)").click()
    expect(card(page, made["name"])).to_contain_text("its time is over")


def test_what_fails_and_what_is_refused_is_told(visitor: Callable[..., Visit], place: Place) -> None:
    visit = visitor(name="erin")
    page = visit.page
    page.get_by_label("For how many minutes?").fill("121")
    page.get_by_role("button", name="Lease it").click()
    expect(page.get_by_text("At most 120 minutes (2 h).")).to_be_visible()
    expect(page.get_by_label("For how many minutes?")).to_be_focused()
    ask(page, "A mistake")
    page.get_by_text("Ended lately (1)").click(timeout=60_000)
    expect(page.get_by_role("list", name="Leases that ended")).to_contain_text("not-there")
    for _ in range(4):
        place.world.provision("basic", user="erin")
    page.get_by_role("radio", name="A shell").check()
    page.get_by_role("button", name="Lease it").click()
    expect(page.get_by_role("alert")).to_contain_text("You have as many leases as one may have.")
    expect(page.get_by_role("alert")).to_contain_text("4 leases")


def test_it_opens_in_a_tab_of_its_own(visitor: Callable[..., Visit], place: Place) -> None:
    page = visitor(name="frank").page
    name = ask(page, "A shell")
    with page.context.expect_page() as opened:
        card(page, name).get_by_role("button", name="Open").click()
    opened.value.wait_for_url(re.compile(rf"^http://{name}\.test\.localhost:\d+/\?berth_session=\S+"))
    assert opened.value.evaluate("window.opener") is None


def test_with_tokens_one_registers(visitor: Callable[..., Visit], placed: Callable[..., Place]) -> None:
    place = placed(LEASE_ACCESS="token")
    visit = visitor(url=place.url)
    page = visit.page
    page.get_by_role("textbox", name="Name").fill("alice")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_text("alice is yours.")).to_be_visible()
    look(visit, "leases-token")
    token = page.locator(".notice code").inner_text()
    page.get_by_role("button", name="Go on").click()
    name = ask(page, "A talker")
    card(page, name).get_by_role("button", name="Log of").click()
    expect(card(page, name).get_by_text("Live", exact=True)).to_be_visible()
    page.reload()
    expect(card(page, name)).to_be_visible()
    assert not [told for told in visit.requests if token in told.splitlines()[0]], "a token in an address"
    other = visitor(url=place.url).page
    other.get_by_role("textbox", name="Name").fill("alice")
    other.get_by_role("button", name="Register").click()
    expect(other.get_by_role("alert")).to_contain_text("That name is somebody's.")
    other.get_by_label("API token").fill(token)
    other.get_by_role("button", name="Use it").click()
    expect(card(other, name)).to_be_visible()


def test_with_passes_the_wallet_signs_in(
    visitor: Callable[..., Visit], placed: Callable[..., Place], world: Chain
) -> None:
    place = placed(**world.lease_variables())
    access = Service(world.variables(PUBLIC_URL=place.url), free_port()).start()
    place.front.routes["/api/access/"] = access.url.removeprefix("http://")
    try:
        chain_id = world.endpoint.chain_id
        holder, token = world.member()
        visit = visitor(url=place.url, wallet=BrowserWallet(holder, chain_id, {chain_id}))
        look(visit, "leases-pass-signed-out")
        visit.page.get_by_role("button", name="Test wallet").click()
        name = ask(visit.page, "A talker")
        expect(card(visit.page, name)).to_be_visible()
        look(visit, "leases-pass")

        dev.fund(world.endpoint, holder.address)
        buyer = world.wallet().address
        dev.transfer(world.endpoint, world.contracts.access_pass, holder.key, buyer, token)
        # What the manager knows of a holder may be ten seconds old.
        expect(visit.page.get_by_role("alert").first).to_contain_text("pass", timeout=30_000)
        look(visit, "leases-pass-sold")

        stranger = world.wallet()
        other = visitor(
            url=place.url, wallet=BrowserWallet(stranger, world.endpoint.chain_id, {world.endpoint.chain_id})
        )
        other.page.get_by_role("button", name="Test wallet").click()
        expect(other.page.get_by_role("alert").first).to_contain_text("pass")
        look(other, "leases-pass-none")
        assert unexpected(visit) == unexpected(other) == []
    finally:
        access.stop()


def test_operators_see_everything_and_can_drain(visitor: Callable[..., Visit], place: Place) -> None:
    made = place.world.provision("basic", user="grace")
    visit = visitor("/operate")
    page = visit.page
    page.get_by_label("Admin token").fill("wrong-token-of-the-tests")
    page.keyboard.press("Enter")
    expect(page.get_by_text("This is not the admin token.")).to_be_visible()
    page.get_by_label("Admin token").fill(place.world.environment["ADMIN_TOKEN"])
    page.keyboard.press("Enter")
    page.get_by_label("Only with").fill("grace")
    expect(card(page, made["name"])).to_contain_text("grace")
    page.get_by_role("button", name="Drain the stack").click()
    page.get_by_role("button", name="Drain", exact=True).click()
    expect(page.get_by_text("No new leases are given.")).to_be_visible()
    visit.shot("leases-operate")
    refused = place.world.call("POST", "/api/provision", "grace", json={"imageType": "basic"})
    assert refused.status_code == 503
    page.get_by_role("button", name="Give leases again").click()
    page.get_by_role("button", name="Give them").click()
    expect(page.get_by_text("No new leases are given.")).not_to_be_visible()
    place.world.call("DELETE", f"/api/containers/{made['id']}", "grace", params={"wait": 10})
    expect(page.get_by_role("log", name="Events")).to_contain_text("grace")


@pytest.mark.parametrize(
    ("size", "scheme"),
    [("desk", "light"), ("phone", "dark"), *(pytest.param(*p, marks=pytest.mark.slow) for p in crossed)],
)
def test_leases_are_for_everybody(visitor: Callable[..., Visit], place: Place, scheme: str, size: str) -> None:
    name = f"{scheme}-{size}"
    visit = visitor(name=name, color_scheme=scheme, **(phone if size == "phone" else {}))
    page = visit.page
    expect(page.get_by_text("None runs.")).to_be_visible()
    look(visit, f"{name}-l1-nothing")
    two = ask(page, "Two of them", 30)
    expect(card(page, two)).to_contain_text("MiB of 64 MiB", timeout=20_000)
    place.world.provision("basic", user=name, minutes=4)
    talker = place.world.provision("talker", user=name, minutes=120)
    mine = card(page, talker["name"])
    expect(mine.get_by_text("Running", exact=True)).to_be_visible()
    mine.get_by_role("button", name="Log of").click()
    until_line(page, 20)
    look(visit, f"{name}-l2-running")
    mine.get_by_role("button", name=f"End {talker['name']}", exact=True).click()
    card(page, two).get_by_role("button", name="Extend").click()
    page.get_by_label("How many minutes more?").fill("100000")
    page.keyboard.press("Enter")
    page.get_by_role("radio", name="Through the tunnel only").check()
    page.get_by_text("More", exact=True).click()
    look(visit, f"{name}-l3-asking")
    for one in place.world.call("GET", "/api/containers", name).json()["containers"]:
        place.world.call("DELETE", f"/api/containers/{one['id']}", name)
    page.get_by_text(re.compile(r"Ended lately \(3\)")).click()
    look(visit, f"{name}-l4-ended")
    theirs = place.world.provision("basic", user="ivan", minutes=60)
    page.get_by_role("link", name="For operators").click()
    page.get_by_label("Admin token").fill(place.world.environment["ADMIN_TOKEN"])
    page.keyboard.press("Enter")
    expect(page.get_by_label("Only with")).to_be_visible()
    look(visit, f"{name}-l5-operate")
    place.world.call("DELETE", f"/api/containers/{theirs['id']}", "ivan")
    assert unexpected(visit) == []


def test_leases_work_from_the_keyboard(visitor: Callable[..., Visit], place: Place) -> None:
    page = visitor(name="heidi").page
    page.get_by_role("radio", name="A talker").focus()
    page.keyboard.press("ArrowUp")
    expect(page.get_by_role("radio", name="A shell")).to_be_checked()
    press_until(page, "Lease it")
    page.keyboard.press("Enter")
    expect(page.get_by_text("is yours for")).to_be_visible()
    press_until(page, "Log")
    page.keyboard.press("Enter")
    press_until(page, "Nothing was written yet.")  # what scrolls takes the keyboard
    page.keyboard.press("Shift+Tab")
    page.get_by_role("button", name=re.compile("^End ")).focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_text("None runs.")).to_be_visible()
