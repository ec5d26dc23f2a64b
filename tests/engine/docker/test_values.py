"""Conversions to and from the daemon's form."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.docker import container_values as values
from engine.docker.container import _body, _update_body
from engine.docker.remote_image import repo_digest


@pytest.mark.parametrize(
    ("text", "nano"),
    [("0s", 0), ("", 0), ("500ms", 500_000_000), ("1.5s", 1_500_000_000), ("1m30s", 90_000_000_000),
     ("90s", 90_000_000_000), ("1h0m0s", 3_600_000_000_000), ("10us", 10_000)],
)  # fmt: skip
def test_durations(text: str, nano: int) -> None:
    assert values.nanoseconds(text) == nano


@pytest.mark.parametrize(
    ("nano", "text"),
    [(0, "0s"), (None, "0s"), (500_000_000, "500ms"), (90_000_000_000, "1m30s"), (60_000_000_000, "1m0s"),
     (3_600_000_000_000, "1h0m0s"), (1_500_000_000, "1.5s"), (10_000, "10µs")],
)  # fmt: skip
def test_durations_as_go_writes_them(nano: int, text: str) -> None:
    assert values.duration_of(nano) == text


@given(st.integers(0, 10**16))
def test_durations_survive(nano: int) -> None:
    assert values.nanoseconds(values.duration_of(nano)) == nano


def test_volumes_spread_over_three_fields() -> None:
    body = _body(
        {
            "image": "i",
            "volumes": [
                {"volumeName": "v", "containerPath": "/a", "readOnly": True},
                {"hostPath": "/h", "containerPath": "/b", "selinuxRelabel": "z"},
                {"containerPath": "/c"},
                {"fromContainer": "other"},
            ],
        }
    )
    assert body["Volumes"] == {"/a": {}, "/b": {}, "/c": {}}
    assert body["HostConfig"]["Binds"] == ["v:/a:ro", "/h:/b:rw,z"]
    assert body["HostConfig"]["VolumesFrom"] == ["other"]


def test_ports() -> None:
    exposed, bindings = values.ports_to(
        [{"internal": 80, "external": 8080, "ip": "127.0.0.1"}, {"internal": 53, "protocol": "udp"}, {"internal": 80}]
    )
    assert exposed == {"80/tcp": {}, "53/udp": {}}
    assert bindings["80/tcp"] == [
        {"HostPort": "8080", "HostIp": "127.0.0.1"},
        {"HostPort": "", "HostIp": "0.0.0.0"},
    ]
    shown = {"53/udp": [{"HostPort": "53", "HostIp": "::"}], "80/tcp": [{"HostPort": "8080", "HostIp": "127.0.0.1"}]}
    web = {"internal": 80, "external": 8080, "ip": "127.0.0.1", "protocol": "tcp"}
    names = {"internal": 53, "external": 53, "ip": "::", "protocol": "udp"}
    assert values.ports_back({**shown, "9/tcp": None}, []) == [names, web]
    assert values.ports_back(shown, [web, names]) == [web, names], "in the order of the program"


def test_an_update_holds_only_what_changed() -> None:
    old = {"memory": 64, "cpus": "1", "restart": "no"}
    assert _update_body(old, dict(old)) == {}
    assert _update_body(old, {**old, "cpus": "2.5"}) == {"NanoCpus": 2_500_000_000}
    assert _update_body(old, {**old, "restart": "on-failure", "maxRetryCount": 3}) == {
        "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3}
    }
    mib = 1024 * 1024
    assert _update_body(old, {**old, "memory": 128}) == {"Memory": 128 * mib, "MemorySwap": 256 * mib}
    assert _update_body(old, {**old, "memory": 128, "memorySwap": -1}) == {"Memory": 128 * mib, "MemorySwap": -1}


def test_clients_own_security_option_is_opened_out() -> None:
    host = _body({"image": "i", "securityOpts": ["systempaths=unconfined", "no-new-privileges:true"]})["HostConfig"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert (host["MaskedPaths"], host["ReadonlyPaths"]) == ([], [])


@pytest.mark.parametrize("name", ["host:5000/a/b:1", "host:5000/a/b", "host:5000/a/b:1@sha256:00"])
def test_repo_digest_is_that_of_the_repository(name: str) -> None:
    shown = {"RepoDigests": ["other/a@sha256:11", "host:5000/a/b@sha256:22"]}
    assert repo_digest(name, shown) == "host:5000/a/b@sha256:22"
    assert repo_digest("local:1", shown) == ""
