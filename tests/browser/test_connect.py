"""A holder connects a device at the page, from the wallet to the file, and takes it away again."""

from __future__ import annotations

import configparser
import time
from base64 import b64decode
from pathlib import Path
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from playwright.sync_api import expect

from berth.access.client.device import peers_in
from berth.access.possession import public_of
from berth.access.read import read_access_list
from berth.access.tunnel import Subnets
from tests.browser.conftest import Site, Visit, Visitor, subnet, subnet6, unexpected
from tests.browser.wallet import Refusal

pytestmark = [pytest.mark.docker, pytest.mark.chain]


def let_in(site: Site, token: int) -> str:
    """The node takes up what the chain has for a pass, as a node does; returns the key."""
    (peer,) = site.world.registry.peers_of([token])
    seen = {"key": peer.key, "address": "10.77.0.2", "connected": True, "lastHandshake": int(time.time())}
    site.world.node.stats |= {
        "peers": {"total": 1, "connected": 1},
        "peerList": [{**seen, "received": 5_000, "sent": 70_000}],
    }
    return peer.key


def register(visit: Visit, site: Site, token: int) -> None:
    visit.page.get_by_role("button", name="Make a key and register it").click()
    expect(visit.page.get_by_text("The nodes let the device in", exact=True)).to_have_attribute("aria-current", "step")
    let_in(site, token)
    visit.page.get_by_role("heading", name="Your device may come in").wait_for()


def download(visit: Visit, folder: Path) -> tuple[str, str]:
    """Name and text of the file."""
    with visit.page.expect_download() as waiting:
        visit.page.get_by_role("button", name="Download").click()
    file = folder / waiting.value.suggested_filename
    waiting.value.save_as(file)
    return file.name, file.read_text()


def test_the_whole_story(visitor: Visitor, site: Site, tmp_path: Path) -> None:
    wallet, token = site.world.member()
    visit = visitor(wallet)
    page = visit.page
    visit.shot("connect-signed-out")
    visit.sign_in()
    expect(page.get_by_text(f"Pass {token}")).to_be_visible()
    visit.shot("connect-signed-in")
    register(visit, site, token)
    page.get_by_text("Nearest: node-1").wait_for(state="attached")
    visit.shot("connect-ready")

    name, text = download(visit, tmp_path)
    assert name == "berth-node-1.conf"
    parsed = configparser.ConfigParser()
    parsed.optionxform = str  # type: ignore[assignment,method-assign]
    parsed.read_string(text)
    entry = read_access_list(site.world.endpoint, site.world.contracts.key_registry, subnet).by_token[token]
    private = X25519PrivateKey.from_private_bytes(b64decode(parsed["Interface"]["PrivateKey"]))
    assert (entry.owner, entry.key) == (wallet.address, public_of(private))
    assert parsed["Interface"]["Address"] == ", ".join(Subnets(subnet, subnet6).allowed(entry.address))
    assert dict(parsed["Peer"]) == {
        "PublicKey": site.world.node.stats["interfacePublicKey"],
        "Endpoint": "vpn.example:51820",
        "AllowedIPs": f"{subnet}, {subnet6}",
        "PersistentKeepalive": "25",
    }

    page.get_by_role("button", name="Show a QR code").click()
    expect(page.get_by_role("img", name="WireGuard settings for node-1 as a QR code")).to_be_visible()
    visit.shot("connect-qr")
    page.get_by_role("button", name="Done, hide this").click()
    expect(page.locator(".pill", has_text="Connected")).to_be_visible()

    page.get_by_role("button", name="Revoke").click()
    visit.shot("connect-revoking")
    page.get_by_role("button", name="Revoke it").click()
    expect(page.get_by_text("None yet.")).to_be_visible()
    assert site.world.registry.peers_of([token]) == ()

    secret = parsed["Interface"]["PrivateKey"]
    forms = {secret, quote(secret, safe=""), b64decode(secret).hex(), secret.rstrip("=")}
    assert len(visit.requests) > 10
    assert not [sent for sent in visit.requests for form in forms if form in sent]
    stored = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])")
    assert not [form for form in forms if form in stored]
    assert "berth_session" not in stored
    assert unexpected(visit.complaints) == []


def test_where_udp_is_blocked_the_file_leads_through_a_bridge(visitor: Visitor, site: Site, tmp_path: Path) -> None:
    wallet, token = site.world.member()
    visit = visitor(wallet)
    page = visit.page
    visit.sign_in()
    register(visit, site, token)
    page.get_by_text("Nearest: node-1").wait_for(state="attached")
    page.get_by_label("UDP blocked?").check()
    expect(page.get_by_role("button", name="QR code")).to_have_count(0)
    name, text = download(visit, tmp_path)
    assert name == "berth-tcp.conf"
    (peer,) = peers_in(tmp_path / name)
    assert (peer.key, peer.endpoint) == (site.world.node.stats["interfacePublicKey"], "127.0.0.1:51888")
    assert "\nMTU = 1414\n" in text
    steps = page.get_by_role("region", name="Through the bridge")
    expect(steps.get_by_text(f"sudo berth tunnel --url {site.url} --config berth-tcp.conf", exact=True)).to_be_visible()
    visit.shot("connect-bridge")
    steps.get_by_text("Without the berth command").click()
    mullvad = "udp2tcp --udp-listen 127.0.0.1:51888 --tcp-forward vpn.example:51840"
    expect(steps.get_by_text(mullvad, exact=True)).to_be_visible()
    visit.shot("connect-bridge-other-programs")
    page.get_by_label("UDP blocked?").uncheck()
    expect(page.get_by_text("Your file leads to node-1 through a bridge.")).to_be_visible()
    assert unexpected(visit.complaints) == []


def test_what_the_wallet_refuses_is_told_and_can_be_tried_again(visitor: Visitor, site: Site) -> None:
    wallet, token = site.world.member()
    visit = visitor(wallet)
    assert visit.wallet is not None
    alert = visit.page.get_by_role("alert")

    visit.wallet.refuse["personal_sign"] = Refusal(4001, "User rejected the request.")
    visit.page.get_by_role("button", name="Test wallet").click()
    expect(alert).to_contain_text("You declined in the wallet.")
    visit.shot("connect-declined")
    visit.wallet.refuse.clear()
    visit.sign_in()

    visit.wallet.chain_id, visit.wallet.knows = 1, {1}
    visit.page.get_by_role("button", name="Make a key and register it").click()
    expect(alert).to_contain_text(f"does not know the network berth test (chain {site.world.endpoint.chain_id})")
    visit.shot("connect-wrong-network")
    visit.wallet.knows.add(site.world.endpoint.chain_id)
    visit.wallet.refuse["eth_signTypedData_v4"] = Refusal(4001, "User rejected the request.")
    visit.page.get_by_role("button", name="Make a key and register it").click()
    expect(alert).to_contain_text("You declined in the wallet.")
    assert site.world.registry.peers_of([token]) == ()
    assert "wallet_switchEthereumChain" in visit.wallet.methods()

    visit.wallet.refuse.clear()
    register(visit, site, token)
    assert alert.count() == 0


def test_no_wallet_and_no_pass_are_told(visitor: Visitor, site: Site) -> None:
    without = visitor()
    expect(without.page.get_by_text("This browser has no wallet.")).to_be_visible()
    without.shot("connect-no-wallet")
    visit = visitor(site.world.wallet())
    visit.sign_in()
    expect(visit.page.get_by_text("This account holds no pass.")).to_be_visible()
    visit.shot("connect-no-pass")


def test_a_session_outlives_a_reload_and_its_end_is_told(visitor: Visitor, site: Site) -> None:
    wallet, token = site.world.member()
    visit = visitor(wallet)
    visit.sign_in()
    visit.page.reload()
    expect(visit.page.get_by_text(f"Pass {token}")).to_be_visible()
    visit.page.context.clear_cookies()
    visit.page.get_by_role("button", name="Make a key and register it").click()
    expect(visit.page.get_by_text("Your session has ended.")).to_be_visible()
    visit.sign_in()
    visit.page.get_by_role("button", name="Sign out").click()
    expect(visit.page.get_by_role("heading", name="Sign in with your wallet")).to_be_visible()


def test_a_key_is_kept_only_when_asked(visitor: Visitor, site: Site, tmp_path: Path) -> None:
    wallet, token = site.world.member()
    visit = visitor(wallet)
    visit.sign_in()
    register(visit, site, token)
    _, first = download(visit, tmp_path)
    visit.page.get_by_label("Keep the key in this browser").check()
    visit.page.reload()
    visit.page.get_by_role("button", name="Show its file").click()
    assert download(visit, tmp_path)[1] == first
    visit.page.get_by_label("Keep the key in this browser").uncheck()
    visit.page.reload()
    expect(visit.page.get_by_role("heading", name=f"Pass {token}")).to_be_visible()
    assert visit.page.get_by_role("button", name="Show its file").count() == 0
