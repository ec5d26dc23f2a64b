"""Networks of single leases, who joins, and the files that go in."""

from __future__ import annotations

import io
import tarfile
from typing import Any

import pytest

from berth.leases.guard.archive import check_archive
from berth.leases.guard.errors import Refused
from berth.leases.guard.networks import joining, leaving, network
from tests.unit.leases.guard.world import policy

own = {"berth.stack": "berth/dev", "berth.lease": "l-1"}


def body(**changes: Any) -> dict[str, Any]:
    given = {"Name": "berth-dev-lease-a", "Labels": own, "IPAM": {"Config": [{"Subnet": "10.91.3.0/28"}]}}
    return {key: value for key, value in {**given, **changes}.items() if value is not None}


def test_a_bridge_in_the_pool_is_made() -> None:
    made = network(policy(), body(Internal=True, CheckDuplicate=False))
    assert made == {**body(Internal=True), "Driver": "bridge", "CheckDuplicate": True}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("Name", "berth-dev-inside"),
        ("Name", "berth-dev-leases"),
        ("Driver", "macvlan"),
        ("Driver", "host"),
        ("Options", {"parent": "eth0"}),
        ("Options", {"com.docker.network.bridge.name": "docker0"}),
        ("Attachable", True),
        ("Ingress", True),
        ("EnableIPv6", True),
        ("ConfigFrom", {"Network": "x"}),
        ("Scope", "swarm"),
        ("Labels", {"berth.stack": "berth/prod", "berth.lease": "x"}),
        ("Labels", {"berth.stack": "berth/dev"}),
        ("Labels", None),
        ("IPAM", None),
        ("IPAM", {"Config": []}),
        ("IPAM", {"Driver": "null", "Config": [{"Subnet": "10.91.3.0/28"}]}),
        ("IPAM", {"Config": [{"Subnet": "172.30.10.0/24"}]}),
        ("IPAM", {"Config": [{"Subnet": "10.91.0.0/16"}]}),
        ("IPAM", {"Config": [{"Subnet": "10.91.3.1/28"}]}),
        ("IPAM", {"Config": [{"Subnet": "fd00::/64"}]}),
        ("IPAM", {"Config": [{"Subnet": "10.91.3.0/28", "Gateway": "10.91.4.9"}]}),
    ],
)
def test_any_other_network_is_refused(key: str, value: Any) -> None:
    with pytest.raises(Refused, match=f"body.{key}"):
        network(policy(), body(**{key: value}))


def test_who_joins_the_shared_bridge_brings_no_name_and_no_address() -> None:
    assert joining(policy(), {"Container": "a", "EndpointConfig": {}}, shared=True) == ("a", {})
    assert joining(policy(), {"Container": "a", "EndpointConfig": {"Aliases": ["db"]}}, shared=False)[1] == {
        "Aliases": ["db"]
    }
    for place in ({"Aliases": ["chain"]}, {"IPAMConfig": {"IPv4Address": "10.90.0.10"}}, {"GwPriority": 1}):
        with pytest.raises(Refused):
            joining(policy(), {"Container": "a", "EndpointConfig": place}, shared=True)


def test_leaving_names_one_container() -> None:
    assert leaving({"Container": "a", "Force": True}) == ("a", True)
    with pytest.raises(Refused):
        leaving({"Force": True})


def archive(*entries: tuple[str, bytes], mode: int = 0o644) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as made:
        for name, kind in entries:
            entry = tarfile.TarInfo(name)
            entry.type, entry.mode, entry.linkname = kind, mode, "/etc/passwd"
            made.addfile(entry)
    return buffer.getvalue()


def test_plain_files_go_in() -> None:
    check_archive(archive(("run/config", tarfile.REGTYPE), ("run", tarfile.DIRTYPE)))


@pytest.mark.parametrize(
    "given",
    [
        archive(("../x", tarfile.REGTYPE)),
        archive(("a/../../x", tarfile.REGTYPE)),
        archive(("/etc/passwd", tarfile.REGTYPE)),
        archive(("x", tarfile.SYMTYPE)),
        archive(("x", tarfile.LNKTYPE)),
        archive(("x", tarfile.CHRTYPE)),
        archive(("x", tarfile.FIFOTYPE)),
        archive(("x", tarfile.REGTYPE), mode=0o4755),
        archive(*((f"f{n}", tarfile.REGTYPE) for n in range(257))),
        b"\x1f\x8b" + b"0" * 600,
    ],
)
def test_what_leads_elsewhere_does_not(given: bytes) -> None:
    with pytest.raises(Refused):
        check_archive(given)
