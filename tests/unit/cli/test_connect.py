"""``berth connect``: which pass it takes, and that no failure can lose the key that was registered."""

from __future__ import annotations

import stat
from contextlib import nullcontext
from pathlib import Path
from typing import Any, cast

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from berth.access.client import probe
from berth.access.client.device import private_in
from berth.access.client.errors import NothingToUse, Untrusted
from berth.access.client.service import AccessService, Registered
from berth.access.client.wallet import Wallet
from berth.access.possession import public_of
from berth.chain import dev
from berth.cli.connect import _choose_node, _choose_pass, _node_in, _register
from berth.kit.client import ApiRefused, Unreachable, WrongUsage


class Service:
    """Ends a registration as told, and looks at the disk while it is asked."""

    def __init__(self, folder: Path, outcome: Exception | None) -> None:
        self.folder, self.outcome = folder, outcome

    def register(self, wallet: Wallet, token: int, private: X25519PrivateKey) -> Registered:
        (pending,) = self.folder.iterdir()
        assert stat.S_IMODE(pending.stat().st_mode) == 0o600
        assert public_of(private_in(pending)) == public_of(private), "the key is on disk before it is registered"
        if self.outcome is not None:
            raise self.outcome
        return Registered(token, public_of(private), "10.77.0.2", None, "0x1")


def refused(reason: str) -> ApiRefused:
    return ApiRefused("no", 409, reason)


@pytest.mark.parametrize(
    ("outcome", "kept"),
    [
        (None, True),  # until the configuration is written
        (refused("not-holder"), False),
        (Untrusted("no"), False),
        (refused("not-mined"), True),  # it was sent, and may be mined yet
        (Unreachable("no answer"), True),  # nobody knows whether it was sent
    ],
)
def test_a_key_that_may_be_registered_is_kept(tmp_path: Path, outcome: Exception | None, kept: bool) -> None:
    fresh = dev.Wallet.fresh()
    service = cast(AccessService, Service(tmp_path, outcome))
    with pytest.raises(type(outcome)) if outcome else nullcontext():
        _register(service, Wallet(fresh.key, fresh.address), 7, tmp_path / "berth.conf")
    assert [path.name for path in tmp_path.iterdir()] == ([".berth.conf.pending"] if kept else [])


def measured(name: str, seconds: float, *bridges: str, healthy: bool = True) -> probe.Measured:
    node = {"id": name, "publicKey": f"key {name}", "healthy": healthy, "connected": 0, "bridges": list(bridges)}
    return probe.Measured(node, seconds)


def test_where_udp_is_blocked_it_takes_the_nearest_node_that_has_a_bridge() -> None:
    near, far, farther = measured("near", 0.001), measured("far", 0.1, "f:443"), measured("farther", 0.2, "g:443")
    assert _choose_node([farther, near, far], "", bridged=False) is near
    assert _choose_node([farther, near, far], "", bridged=True) is far
    assert _choose_node([farther, near, far], "farther", bridged=True) is farther
    with pytest.raises(NothingToUse, match="near has no TCP bridge that is well; farther or far has one"):
        _choose_node([farther, near, far], "near", bridged=True)
    with pytest.raises(NothingToUse, match="no node has a TCP bridge"):
        _choose_node([near], "", bridged=True)
    with pytest.raises(WrongUsage, match="there is no node none"):
        _choose_node([near, far], "none", bridged=True)


def test_a_move_is_to_another_node() -> None:
    near, far, ill = measured("near", 0.001), measured("far", 0.1), measured("ill", 0.01, healthy=False)
    assert _choose_node([near, far, ill], "", bridged=False, left="key near") is far
    assert _choose_node([near, far, ill], "", bridged=False, left="key far") is near
    # Whose node is no longer on offer goes to the nearest.
    assert _choose_node([near, far, ill], "", bridged=False, left="key gone") is near
    with pytest.raises(NothingToUse, match="leads to node near already, and no other is well: --node near stays"):
        _choose_node([near, ill], "", bridged=False, left="key near")


def test_where_a_file_leads(tmp_path: Path) -> None:
    file, private = tmp_path / "berth.conf", dev.fresh_public_key()  # any 32 bytes are a private key
    for said, bridged in (("", False), ("# through a TCP bridge\n", True)):
        peers = f"[Peer]\n{said}PublicKey = here\nEndpoint = 127.0.0.1:1\n\n[Peer]\nPublicKey = other\n"
        file.write_text(f"[Interface]\nPrivateKey = {private}\n\n{peers}")
        # Who only changes the way there may stay.
        assert [_node_in(file, bridged=way) for way in (bridged, not bridged)] == ["here", ""]
    file.write_text(f"PrivateKey = {private}\n")
    assert _node_in(file, bridged=False) == ""
    file.write_text("nothing of the kind")
    with pytest.raises(WrongUsage, match="has no PrivateKey"):
        _node_in(file, bridged=False)


def a_pass(token: int, registered: bool = False, usable: bool = True) -> dict[str, Any]:
    return {"token": str(token), "registered": registered, "usable": usable, "key": "KEY=" if registered else None}


@pytest.mark.parametrize(
    ("passes", "wanted", "replace", "found"),
    [
        ([a_pass(1)], None, False, 1),
        ([a_pass(1, registered=True), a_pass(2)], None, False, 2),
        ([a_pass(1, usable=False), a_pass(2)], None, False, 2),
        ([a_pass(1, registered=True)], None, True, 1),
        ([a_pass(1), a_pass(2)], 2, False, 2),
        ([a_pass(1, registered=True), a_pass(2)], 1, True, 1),
    ],
)
def test_the_pass_that_is_meant(passes: list[dict[str, Any]], wanted: int | None, replace: bool, found: int) -> None:
    assert _choose_pass(passes, wanted, replace) == found


@pytest.mark.parametrize(
    ("passes", "wanted", "says"),
    [
        ([], None, "holds no pass"),
        ([a_pass(1, usable=False)], None, "holds no pass"),
        ([a_pass(1), a_pass(2)], None, r"several passes \(1, 2\)"),
        ([a_pass(1)], 2, "may not register pass 2; it may: 1"),
        ([a_pass(1, usable=False)], 1, "it may: none"),
        ([a_pass(1, registered=True)], None, "--replace"),
        ([a_pass(1, registered=True), a_pass(2, registered=True)], None, "several passes"),
    ],
)
def test_where_it_cannot_tell_it_says_so(passes: list[dict[str, Any]], wanted: int | None, says: str) -> None:
    with pytest.raises(NothingToUse, match=says):
        _choose_pass(passes, wanted, replace=False)
