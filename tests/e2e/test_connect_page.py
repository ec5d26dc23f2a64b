"""A holder connects at the page of the real deployment, and a real client uses the file that it got there."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Network
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from berth.access.client.wallet import Wallet
from berth.access.read import read_access_list
from berth.chain import dev
from berth.chain.transactions import Sender
from demo.client import Client
from demo.deployment import Deployment
from providers.settings import anvil_key
from tests.browser.conftest import Visit, browser, build, unexpected
from tests.browser.wallet import BrowserWallet
from tests.e2e.conftest import Pulumi

__all__ = ["browser", "build"]  # fixtures
pytestmark = [pytest.mark.docker, pytest.mark.chain]


@pytest.fixture
def visit(pulumi: Pulumi, browser: Browser) -> Iterator[tuple[Visit, Deployment, int]]:
    """A fresh account with a new pass, at the page; the deployment, and the pass."""
    deployment = Deployment(pulumi.outputs())
    fresh = dev.Wallet.fresh()
    token = deployment.passes.mint(Sender(deployment.endpoint, anvil_key), fresh.address)
    context = browser.new_context(accept_downloads=True)
    context.set_default_timeout(30_000)
    wallet = BrowserWallet(Wallet(fresh.key, fresh.address), deployment.endpoint.chain_id)
    wallet.put_into(context)
    made = Visit(context.new_page(), wallet)
    made.watch()
    made.page.goto("http://localhost:18380/")
    yield made, deployment, token
    context.close()


def test_the_file_of_the_page_opens_the_tunnel_until_it_is_revoked(
    pulumi: Pulumi, visit: tuple[Visit, Deployment, int], tmp_path: Path
) -> None:
    at, deployment, token = visit
    page = at.page
    at.sign_in()
    page.get_by_role("button", name="Make a key and register it").click()
    page.get_by_role("heading", name="Your device may come in").wait_for()
    expect(page.get_by_role("option", name=re.compile(r"Nearest: node-\d, .*ms"))).to_be_attached()
    at.shot("stack-ready")
    with page.expect_download() as waiting:
        page.get_by_role("button", name="Download").click()
    waiting.value.save_as(tmp_path / "file")
    text = (tmp_path / "file").read_text()
    subnet = IPv4Network(deployment.outputs["tunnelSubnet"])
    listed = read_access_list(deployment.endpoint, deployment.registry.address, subnet).by_token[token]
    assert re.search(rf"(?m)^Address = {re.escape(listed.address)}/32\b", text)
    node = waiting.value.suggested_filename.removeprefix("berth-").removesuffix(".conf")
    # The announced endpoint is this host's; a client in a container meets the node on the network between them.
    text = re.sub(r"(?m)^Endpoint = .*$", f"Endpoint = {deployment.nodes[node]['edgeEndpoint']}", text)

    prefix = f"berth-{pulumi.stack}"
    labels = {"berth.stack": f"berth/{pulumi.stack}", "berth.test": "browser"}
    with Client(f"{prefix}-page-client", deployment.node["image"], f"{prefix}-edge", labels) as client:
        client.use(text)
        eventually(lambda: client.reaches(deployment.members_page))
        expect(page.locator(".pill", has_text=re.compile("^Connected$"))).to_be_visible()
        page.get_by_role("link", name="Nodes").click()
        expect(page.locator(".nodes > li")).to_have_count(len(deployment.nodes))
        at.shot("stack-nodes")
        page.get_by_role("link", name="Status").click()
        expect(page.get_by_text("Everything is up.")).to_be_visible()
        at.shot("stack-status")
        page.get_by_role("link", name="Connect").click()
        page.get_by_role("button", name="Revoke").click()
        page.get_by_role("button", name="Revoke it").click()
        expect(page.get_by_text("None yet.")).to_be_visible()
        eventually(lambda: not client.reaches(deployment.members_page, 1))
    assert unexpected(at.complaints) == []
    private = re.search(r"PrivateKey = (\S+)", text)
    assert private is not None
    assert not [sent for sent in at.requests if private[1] in sent]


def test_the_chain_is_the_only_one_the_page_signs_for(visit: tuple[Visit, Deployment, int]) -> None:
    at, _, _ = visit
    assert at.wallet is not None
    at.sign_in()
    at.wallet.chain_id = 1
    at.page.get_by_role("button", name="Make a key and register it").click()
    expect(at.page.get_by_role("alert")).to_contain_text("does not know the network")


def eventually(what: Callable[[], object], seconds: float = 30) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it did not come to be"
        time.sleep(0.2)
