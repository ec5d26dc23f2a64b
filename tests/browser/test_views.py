"""Nodes and Status, and what holds for every view: readers, keyboards, phones, dark and light."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from berth.chain import dev
from berth.chain.node_registry import NodeRegistry
from berth.chain.transactions import Sender
from tests.browser.chromium import free_port
from tests.browser.conftest import Site, Visit, Visitor, unexpected
from tests.browser.front import DelayRelay, Front
from tests.browser.test_connect import let_in, register
from tests.integration.access_api.conftest import NodeHttp, Service, World

pytestmark = [pytest.mark.docker, pytest.mark.chain]
phone = {"viewport": {"width": 375, "height": 740}, "device_scale_factor": 2, "is_mobile": True, "has_touch": True}
axe = Path(__file__).resolve().parents[2] / "web" / "node_modules" / "axe-core" / "axe.min.js"
health = {
    "status": "degraded",
    "live": True,
    "ready": True,
    "checks": {
        "chain": {"ok": True, "required": True, "detail": "1 of 1 up"},
        "nodes": {"ok": True, "required": True, "detail": "1 of 2 up"},
        "node-2": {"ok": False, "required": False, "detail": "WireGuard node"},
    },
}


@dataclass
class FarNode:
    """A node with its HTTP, behind a relay that takes as long as distance would."""

    id: str
    http: NodeHttp
    relay: DelayRelay

    def die(self) -> None:
        self.relay.close()
        self.http.close()


@pytest.fixture(scope="module")
def far(world: World, page_server: str) -> Iterator[tuple[str, dict[str, FarNode]]]:
    """A site of its own with nodes at 5, 50 and 100 ms; its URL, and the nodes by id."""
    nodes: dict[str, FarNode] = {}
    registry = NodeRegistry(world.endpoint, world.contracts.node_registry)
    for name, distance in (("far", 0.100), ("mid", 0.050), ("near", 0.005)):
        account, key = dev.Wallet.fresh(), dev.fresh_public_key()
        dev.fund(world.endpoint, account.address)
        registry.allow(world.operator, name, account.address)
        registry.announce(Sender(world.endpoint, account.key), name, key, f"{name}.example:51820", "")
        http = NodeHttp()
        peers = {"total": 3, "connected": 1}
        http.stats = {"interfacePublicKey": key, "wireguard": "kernel", "peers": peers, "peerList": []}
        port = int(http.url.rpartition(":")[2])
        nodes[name] = FarNode(name, http, DelayRelay(("127.0.0.1", port), distance))
    front = Front(0, {})
    listed = json.dumps([{"id": name, "url": node.http.url} for name, node in nodes.items()])
    service = Service(world.variables(PUBLIC_URL=front.url, NODES=listed), free_port()).start()
    front.routes |= {"/": page_server, "/api/access/": service.url.removeprefix("http://")}
    front.routes |= {f"/nodes/{name}/ping": node.relay.address for name, node in nodes.items()}
    yield front.url, nodes
    service.stop()
    front.close()
    for node in nodes.values():
        node.die()


def test_the_nearest_node_is_offered_and_after_its_death_the_next(
    visitor: Visitor, site: Site, far: tuple[str, dict[str, FarNode]]
) -> None:
    url, nodes = far
    visit = visitor(site.world.member()[0], url=url)
    visit.sign_in()
    visit.page.get_by_role("link", name="Nodes").click()
    nearest = visit.page.locator("li.nearest h2")
    expect(nearest).to_have_text("near", timeout=15_000)
    measured = {}
    for name in nodes:
        told = visit.page.locator("li", has=visit.page.get_by_role("heading", name=name)).locator(".figure")
        measured[name] = float(told.inner_text().removesuffix(" ms"))
    assert (measured["near"] >= 5, measured["mid"] >= 50, measured["far"] >= 100) == (True, True, True)
    assert measured["near"] < measured["mid"] < measured["far"]
    visit.shot("nodes")
    start = time.monotonic()
    nodes["near"].relay.stall()
    expect(nearest).to_have_text("mid", timeout=12_000)
    took = time.monotonic() - start
    print(f"the next node was offered after {took:.1f} s")
    assert took < 10  # what is asked for
    visit.shot("nodes-after-death")
    nodes["mid"].die()
    expect(nearest).to_have_text("far", timeout=10_000)


def test_status_shows_what_the_gateway_says(visitor: Visitor, site: Site) -> None:
    site.front.health = health
    visit = visitor(path="/system")
    expect(visit.page.get_by_role("status")).to_have_text("Working, but a part is down.")
    parts = visit.page.get_by_role("list", name="Parts").get_by_role("listitem")
    assert [re.sub(r"\s+", " ", text) for text in parts.all_inner_texts()] == [
        "Up chain 1 of 1 up",
        "Up nodes 1 of 2 up",
        "Down node-2 WireGuard node",
    ]
    visit.shot("status")
    site.front.health = {**health, "status": "failing"}
    expect(visit.page.get_by_role("status")).to_have_text("Not working: a part that is needed is down.", timeout=8_000)


def test_an_unknown_address_says_so(visitor: Visitor) -> None:
    visit = visitor(path="/nowhere")
    expect(visit.page.get_by_role("heading", name="There is no such page")).to_be_visible()
    visit.page.get_by_role("link", name="To Connect").click()
    expect(visit.page.get_by_role("heading", name="Connect a device")).to_be_focused()


def test_without_a_session_nodes_lead_to_signing_in(visitor: Visitor) -> None:
    visit = visitor(path="/nodes")
    visit.page.get_by_role("link", name="Sign in on Connect").click()
    expect(visit.page.get_by_text("This browser has no wallet.")).to_be_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", ["desk", "phone"])
def test_every_view_is_for_everybody(visitor: Visitor, site: Site, scheme: str, size: str) -> None:
    """Rules of WCAG 2.2 AA that a program can check, in every view and state; and nothing wider than the screen."""
    site.front.health = health
    wallet, token = site.world.member(expires=int(time.time()) + 3 * 86_400)
    options = {"color_scheme": scheme, **(phone if size == "phone" else {})}
    visit = visitor(wallet, **options)
    look(visit, f"{scheme}-{size}-1-signed-out")
    visit.sign_in()
    look(visit, f"{scheme}-{size}-2-signed-in")
    register(visit, site, token)
    visit.page.get_by_text("Nearest: node-1").wait_for(state="attached")
    visit.page.get_by_role("button", name="Show a QR code").click()
    look(visit, f"{scheme}-{size}-3-ready")
    visit.page.get_by_label("UDP blocked?").check()
    visit.page.get_by_text("Without the berth command").click()
    look(visit, f"{scheme}-{size}-3-bridge")
    visit.page.get_by_role("button", name="Revoke").click()
    look(visit, f"{scheme}-{size}-4-revoking")
    visit.page.get_by_role("button", name="Keep it").click()
    visit.page.get_by_role("link", name="Nodes").click()
    visit.page.locator("li.nearest").wait_for()
    look(visit, f"{scheme}-{size}-5-nodes")
    visit.page.get_by_role("link", name="Status").click()
    visit.page.get_by_text("Working, but").wait_for()
    look(visit, f"{scheme}-{size}-6-status")
    assert unexpected(visit.complaints) == []


def look(visit: Visit, name: str) -> None:
    visit.shot(name)
    assert faults(visit.page) == [], name
    assert visit.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{name} is too wide"


def faults(page: Page) -> list[str]:
    page.evaluate(axe.read_text())
    found: list[dict[str, Any]] = page.evaluate(
        "axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'wcag22aa', 'best-practice']}).then(r => r.violations)"
    )
    return [f"{one['id']}: {one['help']}: {[node['html'] for node in one['nodes']]}" for one in found]


def test_the_whole_of_it_works_from_the_keyboard(visitor: Visitor, site: Site) -> None:
    wallet, token = site.world.member()
    visit = visitor(wallet)
    page = visit.page
    page.get_by_role("button", name="Test wallet").focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Add a device").wait_for()
    press_until(page, "Make a key and register it")
    page.keyboard.press("Enter")
    expect(page.get_by_text("The nodes let the device in", exact=True)).to_have_attribute("aria-current", "step")
    let_in(site, token)
    expect(page.get_by_role("heading", name="Your device may come in")).to_be_focused()
    press_until(page, "Revoke")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Keep it")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Revoke")).to_be_focused()


def press_until(page: Page, name: str, most: int = 25) -> None:
    """Tab until the button of that name has the focus."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.textContent").startswith(name):
            return
    raise AssertionError(f"{name!r} was not reached")
