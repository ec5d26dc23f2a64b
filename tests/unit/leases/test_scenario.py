"""LEASES_FILE: what is refused, and what Docker is asked to make of the rest."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest

from berth.leases.engine import spec
from berth.leases.names import Names, vpn_label
from berth.leases.scenario import Catalogue, Template, fill, parse
from tests.unit.leases.samples import lease

one = {"image": "debian"}


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"scenarios": {}}, "scenarios"),
        ({"scenarios": {"a": {"containers": {}}}}, "containers"),
        ({"scenarios": {"a": {"containers": {"side": one}}}}, "'main'"),
        ({"scenarios": {"A b": {"containers": {"main": one}}}}, "pattern"),
        ({"scenarios": {"a": {"containers": {"main": {**one, "user": "root"}}}}}, "never run as root"),
        ({"scenarios": {"a": {"containers": {"main": {**one, "user": "0:0"}}}}}, "never run as root"),
        ({"scenarios": {"a": {"containers": {"main": {**one, "privileged": True}}}}}, "privileged"),
        ({"scenarios": {"a": {"containers": {"main": {**one, "tmpfs": {"/": 1}}}}}}, "absolute path"),
        ({"scenarios": {"a": {"containers": {"main": {**one, "tmpfs": {"/a/../..": 1}}}}}}, "absolute path"),
        ({"scenarios": {"a": {"containers": {"main": {**one, "environment": {"A=B": "x"}}}}}}, "variable"),
        ({"scenarios": {"a": {"containers": {"main": one, "b": one}, "pool": 1}}}, "one container"),
        ({"scenarios": {"a": {"containers": {"main": one}, "egress": True, "pool": 1}}}, "egress cannot wait"),
        ({"scenarios": {"a": {"containers": {"main": {**one, "environment": {"U": "{user}"}}}, "pool": 1}}}, "told"),
        ({"scenarios": {"a": {"containers": {"main": one}}}, "defaultScenario": "b"}, "'b'"),
        ({"scenarios": {"a": {"containers": {"main": one}}}, "subnets": {"pool": "10.0.0.0/28", "prefix": 24}}, "24"),
    ],
)
def test_what_is_wrong_is_told(wrong: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        parse(json.dumps(wrong))


def test_subnets_do_not_overlap() -> None:
    subnets = parse(json.dumps({
        "scenarios": {"a": {"containers": {"main": one}}}, "subnets": {"pool": "10.9.0.0/24", "prefix": 26},
    })).subnets  # fmt: skip
    found = [subnets.at(n) for n in range(subnets.count)]
    assert [str(n) for n in found] == ["10.9.0.0/26", "10.9.0.64/26", "10.9.0.128/26", "10.9.0.192/26"]
    with pytest.raises(IndexError):
        subnets.at(4)


def test_only_known_fields_are_filled_in() -> None:
    values = {"lease": "1", "name": "n", "user": "u", "host": "h", "tokens": "5"}
    assert fill("{user}@{host} {json: 1} {tokens} {x}", values) == "u@h {json: 1} 5 {x}"


def test_every_body_is_locked_down() -> None:
    values = {"lease": "1", "name": "n", "user": "u", "host": "h", "tokens": "5"}
    body = spec.body(Template(image="x", environment={"GREETING": "hi {user}"}), {}, "net", (), True, 8080, values)
    host = body["HostConfig"]
    assert host["CapDrop"] == ["ALL"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["ReadonlyRootfs"] is True
    assert host["Memory"] == host["MemorySwap"] > 0
    assert host["PidsLimit"] > 0
    assert not {"Binds", "Mounts", "Privileged", "CapAdd", "Devices", "PidMode", "IpcMode", "PortBindings"} & set(host)
    assert body["User"] == "1001:1001"
    assert {"GREETING=hi u", "LEASE_USER=u", "INITIAL_TOKENS=5"} <= set(body["Env"])
    assert body["Volumes"] == {"/run/berth-lease": {}}


def test_what_waits_is_outdated_when_anything_changes() -> None:
    made = Template(image="x")
    before = spec.digest(made, False, "net", 8080)
    changes = [
        spec.digest(made.model_copy(update={"image": "y"}), False, "net", 8080),
        spec.digest(made, True, "net", 8080),
        spec.digest(made, False, "other", 8080),
        spec.digest(made.model_copy(update={"user": "5"}), False, "net", 8080),
    ]
    assert before == spec.digest(Template(image="x"), False, "net", 8080)
    assert len({before, *changes}) == 5


def test_what_is_told_can_be_unpacked() -> None:
    with tarfile.open(fileobj=io.BytesIO(spec.told({"user": "ü"}))) as tar:
        (member,) = tar.getmembers()
        content = tar.extractfile(member)
        assert content is not None
        assert (member.name, member.mode, json.loads(content.read())) == ("lease.json", 0o444, {"user": "ü"})


def test_names_of_a_lease() -> None:
    names = Names("dev")
    made = lease(name="shell-0123456789", images={"main": "a", "db": "b", "cache": "c"})
    found = names.containers(made)
    assert list(found) == ["db", "cache", "main"], "main comes last"
    assert found["main"] == "berth-dev-lease-shell-0123456789"
    assert found["cache"] == f"berth-dev-part-{made.id}-2"
    hidden = lease(name="shell-0123456789", exposure="vpn", holder_of="17", wallet="0x" + "aB" * 20)
    assert names.main(hidden) == f"berth-dev-vpn-{vpn_label('17', '0x' + 'ab' * 20, 'shell-0123456789')}"


def test_a_pass_in_a_name() -> None:
    alice, bob = "0x" + "0a" * 20, "0x" + "0b" * 20
    first = vpn_label("1" + "0" * 60, alice, "a-1")
    assert (len(first), first[0]) == (33, "h")
    assert first == vpn_label("1" + "0" * 60, alice.upper().replace("X", "x"), "a-1"), "addresses have no case"
    others = [("1" + "0" * 60, alice, "a-2"), ("1" + "0" * 60, bob, "a-1"), ("10", alice, "a-1")]
    assert len({first, *(vpn_label(*each) for each in others)}) == 4


def test_the_default_scenario() -> None:
    assert Catalogue.model_validate({"scenarios": {"b": {"containers": {"main": one}}}}).default == "b"
    both = {"b": {"containers": {"main": one}}, "basic": {"containers": {"main": one}}}
    assert Catalogue.model_validate({"scenarios": both}).default == "basic"
