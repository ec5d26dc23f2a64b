"""The control API: who gets in, and what the answers are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from berth.kit.health import Check, Health
from berth.vpn import api
from berth.vpn.errors import CommandFailed
from berth.vpn.metrics import NodeMetrics
from tests.unit.vpn import fakes
from tests.unit.vpn.fakes import FakeSource, FakeWg, access_list, agent_on, key

token = "0123456789abcdef0123456789abcdef"
listed = access_list(20, 1, 2)
older = access_list(10, 1)


class Api:
    def __init__(self, volume: Path) -> None:
        self.wg, self.source, self.counts = FakeWg(), FakeSource([listed, older]), CollectorRegistry()
        metrics = NodeMetrics(self.counts)
        agent = agent_on(volume, self.wg, self.source, metrics=metrics)
        agent.start()
        health = Health([Check("list", agent.check)])
        self.client = TestClient(api.build(agent, SecretStr(token), health, metrics, self.counts))

    def put(self, body: Any = None, **headers: str) -> Any:
        wanted = {"digest": listed.digest, "block": {"number": 20, "hash": listed.block.hash}}
        headers.setdefault("Authorization", f"Bearer {token}")
        return self.client.put("/control/list", json=wanted if body is None else body, headers=headers)


@pytest.fixture
def node(tmp_path: Path) -> Api:
    return Api(tmp_path)


def test_put_then_state(node: Api) -> None:
    done = node.put()
    assert done.status_code == 200
    assert done.json()["applied"]["digest"] == listed.digest
    state = node.client.get("/control/state", headers={"Authorization": f"Bearer {token}"}).json()
    assert state == {k: v for k, v in done.json().items() if k != "newer"}
    assert set(state) == {"node", "publicKey", "endpointPort", "mode", "applied", "actual", "drift"}


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("", 401),
        ("Bearer", 401),
        ("Bearer ", 401),
        (f"Basic {token}", 401),
        (token, 401),
        ("Bearer wrong", 403),
        (f"Bearer {token}x", 403),
        (f"Bearer {token[:-1]}", 403),
        (f"Bearer {token.upper()}", 403),
        ("Bearer é", 403),
    ],
)
@pytest.mark.parametrize("path", ["/control/state", "/control/list", "/control/anything", "/control"])
def test_without_the_token_nothing_is_said_or_done(node: Api, path: str, header: str, status: int) -> None:
    headers = {"Authorization": header.encode("latin-1")} if header else {}
    for call in (node.client.get, node.client.put, node.client.post):
        refused = call(path, headers=headers)
        assert refused.status_code == status
        assert refused.headers["content-type"] == "application/problem+json"
        assert key(1) not in refused.text
    assert node.wg.changing == []
    assert node.counts.get_sample_value("berth_node_control_denied_total", {"reason": str(status)}) == 3


@pytest.mark.parametrize("host", ["a?", "a/health?", "a#", "[", "a@b/"])
def test_the_callers_host_does_not_change_what_is_guarded(node: Api, host: str) -> None:
    assert node.client.get("/control/state", headers={"Host": host}).status_code == 401


def test_a_ping_is_for_every_page_and_says_nothing(node: Api) -> None:
    answer = node.client.get("/ping", headers={"Origin": "https://elsewhere.example"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert answer.headers["access-control-allow-origin"] == "*"
    assert "access-control-allow-origin" not in node.client.get("/stats").headers


def test_callers_make_no_label_values(node: Api) -> None:
    for number in range(3):
        node.client.request(f"MADEUP{number}", "/health")
    shown = node.client.get("/metrics").text
    assert "MADEUP" not in shown
    assert 'method="other"' in shown


def test_a_refusal_names_the_scheme(node: Api) -> None:
    assert node.client.get("/control/state").headers["www-authenticate"] == "Bearer"


def test_the_token_is_asked_for_before_the_body_is_read(node: Api) -> None:
    refused = node.client.put("/control/list", content=b"{" * 10_000_000)
    assert refused.status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"digest": "sha256:00", "block": {"number": 1, "hash": listed.block.hash}},
        {"digest": listed.digest, "block": {"number": -1, "hash": listed.block.hash}},
        {"digest": listed.digest, "block": {"number": "20", "hash": listed.block.hash}},
        {"digest": listed.digest, "block": {"number": 20, "hash": "0x12"}},
        {"digest": listed.digest, "block": {"number": 20, "hash": listed.block.hash}, "entries": []},
        {"digest": listed.digest},
    ],
)
def test_a_request_that_is_none_is_refused(node: Api, body: Any) -> None:
    refused = node.put(body)
    assert refused.status_code == 422
    assert refused.headers["content-type"] == "application/problem+json"
    assert node.wg.commands == []


def test_a_long_request_is_refused_unread(node: Api) -> None:
    assert node.put({"digest": "x" * 5000}).status_code == 413


def test_409_when_the_chain_gives_another_list(node: Api) -> None:
    body = {"digest": "sha256:" + "0" * 64, "block": {"number": 20, "hash": listed.block.hash}}
    refused = node.put(body)
    assert refused.status_code == 409
    assert refused.json()["title"] == "The list cannot be reproduced"
    assert node.wg.peers == {}


def test_503_when_the_chain_cannot_be_read_and_peers_stay(node: Api) -> None:
    node.put()
    node.source.fault = fakes.unreachable
    later = {"digest": older.digest, "block": {"number": 30, "hash": older.block.hash}}
    refused = node.put(later)
    assert (refused.status_code, refused.headers["retry-after"]) == (503, "5")
    assert "cannot be reached" in refused.json()["detail"]
    assert set(node.wg.peers) == {key(1), key(2)}


def test_an_older_list_is_success_and_reported(node: Api) -> None:
    node.put()
    done = node.put({"digest": older.digest, "block": {"number": 10, "hash": older.block.hash}})
    assert done.status_code == 200
    assert done.json()["newer"] is True
    assert done.json()["applied"]["digest"] == listed.digest


def _fails(command: list[str]) -> None:
    if command[1] == "addconf":
        raise CommandFailed("`wg addconf wg0` failed: injected")


def _unreadable(command: list[str]) -> None:
    raise CommandFailed("`wg show wg0` failed: No such device")


@pytest.mark.parametrize(("fault", "says"), [(_fails, "as before"), (_unreadable, "No such device")])
def test_500_says_what_became_of_the_peers(node: Api, fault: Callable[[list[str]], None], says: str) -> None:
    node.wg.before = fault
    refused = node.put()
    assert refused.status_code == 500
    assert says in refused.json()["detail"]


def test_health_and_metrics_are_open(node: Api) -> None:
    node.put()
    assert node.client.get("/health").json()["checks"]["list"]["detail"] == "block 20, 2 entries"
    text = node.client.get("/metrics").text
    assert "berth_node_peers 2.0" in text
    assert 'http_requests_total{method="PUT",route="/control/list",status="200"} 1.0' in text


def test_what_callers_send_makes_no_new_metrics(node: Api) -> None:
    for path in ("/a", "/b", "/control/c"):
        node.client.get(path)
    text = node.client.get("/metrics").text
    assert "/a" not in text
    assert "/control/c" not in text
    assert 'route="none"' in text


@pytest.mark.parametrize(("given", "kept"), [("abc-123", True), ("a b", False), ("x" * 65, False), ("", False)])
def test_a_sane_correlation_id_is_kept(node: Api, given: str, kept: bool) -> None:
    answer = node.client.get("/health", headers={"X-Request-ID": given})
    assert (answer.headers["x-request-id"] == given) is kept
