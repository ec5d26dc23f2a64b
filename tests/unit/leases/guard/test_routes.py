"""Which request lines are in the table, and how they are passed on."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, quote, urlsplit

import pytest

from berth.leases.guard.errors import Refused
from berth.leases.guard.routes import find
from tests.unit.leases.guard.world import policy

allowed = [
    ("GET", "/_ping", "/_ping"),
    ("HEAD", "/_ping", "/_ping"),
    ("GET", "/v1.41/version", "/v1.41/version"),
    ("GET", "/images/berth/lease-echo:dev/json", "/images/ID/json"),
    ("POST", "/v1.41/containers/create?name=berth-dev-lease-a", "/v1.41/containers/create?name=berth-dev-lease-a"),
    ("POST", "/containers/abc/start", "/containers/ID/start"),
    ("POST", "/containers/berth-dev-lease-a/stop?t=1", "/containers/ID/stop?t=1"),
    ("DELETE", "/containers/abc?force=true&v=1", "/containers/ID?force=true&v=1"),
    ("GET", "/containers/abc/logs?follow=1&stdout=1&since=1.5", "/containers/ID/logs?follow=1&stdout=1&since=1.5"),
    (
        "PUT",
        "/containers/abc/archive?path=%2Frun%2Fberth-lease",
        "/containers/ID/archive?path=%2Frun%2Fberth-lease",
    ),
    ("POST", "/networks/abc/connect", "/networks/ID/connect"),
]


@pytest.mark.parametrize(("method", "target", "passed"), allowed)
def test_what_leases_need_is_passed_on_with_an_id(method: str, target: str, passed: str) -> None:
    assert find(policy(), method, target).target("ID") == passed


refused = [
    # Not in the table.
    ("POST", "/containers/abc/exec"),
    ("POST", "/exec/abc/start"),
    ("POST", "/containers/abc/update"),
    ("GET", "/containers/abc/export"),
    ("GET", "/containers/abc/archive?path=/etc"),
    ("HEAD", "/containers/abc/archive?path=/etc"),
    ("POST", "/commit?container=abc"),
    ("POST", "/build"),
    ("POST", "/images/load"),
    ("DELETE", "/images/abc"),
    ("GET", "/images/json"),
    ("GET", "/images/abc/get"),
    ("GET", "/info"),
    ("GET", "/system/df"),
    ("POST", "/auth"),
    ("POST", "/session"),
    ("POST", "/grpc"),
    ("GET", "/volumes"),
    ("POST", "/volumes/create"),
    ("POST", "/containers/prune"),
    ("POST", "/networks/prune"),
    ("GET", "/secrets"),
    ("POST", "/swarm/init"),
    ("GET", "/plugins"),
    ("POST", "/plugins/pull?remote=x"),
    ("GET", "/distribution/x/json"),
    ("OPTIONS", "/_ping"),
    ("CONNECT", "/_ping"),
    ("TRACE", "/version"),
    ("get", "/version"),
    # Otherwise written.
    ("GET", "//version"),
    ("GET", "/version/"),
    ("GET", "/v1.41//version"),
    ("GET", "/v1.41/v1.41/version"),
    ("GET", "/v1.39/version"),
    ("GET", "/v1.99/version"),
    ("GET", "/v2.0/version"),
    ("GET", "/./version"),
    ("GET", "/containers/../info"),
    ("GET", "/containers/abc/../../info"),
    ("GET", "/containers/%2e%2e/json"),
    ("GET", "/containers/abc%2fexec/json"),
    ("GET", "/%76ersion"),
    ("GET", "/containers/abc;x/json"),
    ("GET", "/containers/abc\\x/json"),
    ("GET", "http://docker/version"),
    ("GET", "version"),
    ("GET", "*"),
    ("GET", ""),
    ("GET", "/version\r\nX: y"),
    ("POST", "/containers/a/b/start"),
    ("POST", "/containers//start"),
    ("GET", "/images/../containers/json"),
    ("GET", "/networks/a/b"),
    # Parameters.
    ("GET", "/version?x=1"),
    ("GET", "/containers/abc/top?ps_args=-eo%20args"),
    ("POST", "/images/create?fromSrc=http://x"),
    ("POST", "/images/create?fromImage=x&platform=y"),
    ("DELETE", "/containers/abc?link=1"),
    ("DELETE", "/containers/abc?force=1&force=0"),
    ("DELETE", "/containers/abc?force=1;v=1"),
    ("DELETE", "/containers/abc?force"),
    ("DELETE", "/containers/abc?Force=1"),
    ("POST", "/containers/create?name=a%2Fb"),
    ("POST", "/containers/create?name=berth-dev-lease-a&platform=x"),
    ("POST", "/containers/abc/attach?stdin=1&stream=1"),
    ("POST", "/containers/abc/attach?detachKeys=x"),
    ("PUT", "/containers/abc/archive?path=%2Fetc"),
    ("PUT", "/containers/abc/archive?path=%2Frun%2F..%2Fetc"),
    ("PUT", "/containers/abc/archive?path=run"),
    ("PUT", "/containers/abc/archive?path=/run/berth-lease/.."),
    ("POST", "/containers/abc/kill?signal=9%0a"),
    ("GET", "/containers/json?filters=[]"),
    ("GET", "/containers/json?filters=%7B%22volume%22%3A%5B%22x%22%5D%7D"),
    ("GET", "/containers/json?filters=%7B%22label%22%3A%5B%5D%2C%22label%22%3A%5B%5D%7D"),
    ("GET", "/containers/json?filters=%7B%7D&filters=%7B%7D"),
]


@pytest.mark.parametrize(("method", "target"), refused)
def test_everything_else_is_refused(method: str, target: str) -> None:
    with pytest.raises(Refused):
        find(policy(), method, target)


reapers = [("GET", "/containers/abc/json"), ("POST", "/containers/abc/stop"), ("DELETE", "/containers/abc?force=1")]
not_reapers = [
    ("POST", "/containers/create?name=berth-dev-lease-a"),
    ("POST", "/containers/abc/start"),
    ("POST", "/containers/abc/pause"),
    ("POST", "/containers/abc/rename?name=berth-dev-lease-b"),
    ("GET", "/containers/abc/logs?stdout=1"),
    ("POST", "/containers/abc/attach?stream=1"),
    ("PUT", "/containers/abc/archive?path=/run/berth-lease"),
    ("POST", "/images/create?fromImage=x"),
    ("POST", "/networks/create"),
    ("POST", "/networks/abc/connect"),
]


def test_the_reaper_may_look_and_remove_and_nothing_else() -> None:
    for method, target in reapers:
        find(policy(role="reaper"), method, target)
    for method, target in not_reapers:
        find(policy(), method, target)
        with pytest.raises(Refused, match="not for the reaper"):
            find(policy(role="reaper"), method, target)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, {}),
        ({"label": ["berth.lease.user=ann"]}, {"label": ["berth.lease.user=ann"]}),
        ({"label": {"berth.stack=berth/prod": True}}, {"label": ["berth.stack=berth/prod"]}),
        ({"name": ["x"], "status": ["exited"]}, {"name": ["x"], "status": ["exited"]}),
    ],
)
def test_listings_are_narrowed_to_leases_of_this_stack(given: object, kept: dict[str, list[str]]) -> None:
    target = "/containers/json?all=1" + (f"&filters={quote(json.dumps(given))}" if given is not None else "")
    asked = parse_qs(urlsplit(find(policy(), "GET", target).target()).query)
    filters = json.loads(asked["filters"][0])
    assert filters.pop("label") == [*kept.pop("label", []), "berth.stack=berth/dev", "berth.lease"]
    assert filters == kept


def test_events_are_those_of_leases_of_this_stack() -> None:
    asked = parse_qs(urlsplit(find(policy(), "GET", "/v1.41/events").target()).query)
    assert json.loads(asked["filters"][0]) == {"label": ["berth.stack=berth/dev", "berth.lease"]}


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("berth-dev-lease-a", True),
        ("berth-dev-pool-1f", True),
        ("berth-dev-vpn-ann-1", True),
        ("berth-dev-part-ann-2", True),
        ("berth-dev-leases", False),
        ("berth-dev-gateway", False),
        ("berth-dev-lease-", False),
        ("berth-dev-lease-a-", False),
        ("berth-dev-lease-A", False),
        ("berth-prod-lease-a", False),
        ("gateway", False),
        ("berth-dev-lease-a/b", False),
        ("berth-dev-lease-a\n", False),
    ],
)
def test_names_are_those_of_leases(name: str, fits: bool) -> None:
    assert policy().container_name(name) is fits
