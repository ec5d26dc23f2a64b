"""What is refused is a problem document that says why, and leaves nothing half-made."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.leases.world import Servers, World

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def tokens(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A stack that wants tokens, with room for two leases, one for each user."""
    made = World(
        servers, tmp_path_factory.mktemp("tokens"), LEASE_ACCESS="token", MAX_CONTAINERS="2", MAX_PER_USER="1",
        MAX_DURATION_MINUTES="60", CONTAINER_LIFETIME_HOURS="1",
    )  # fmt: skip
    try:
        yield made.start()
    finally:
        made.close()


def register(world: World, name: str) -> dict[str, str]:
    response = world.call("POST", "/api/users", json={"username": name})
    assert response.status_code == 201, response.text
    return {"Authorization": f"Bearer {response.json()['token']}"}


def told(response: Any, status: int, reason: str) -> dict[str, Any]:
    body: dict[str, Any] = response.json()
    assert (response.status_code, body["reason"]) == (status, reason), response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert {"type", "title", "status", "detail"} <= set(body)
    return body


@pytest.mark.parametrize(
    ("body", "status", "reason"),
    [
        ({"imageType": "no-such"}, 422, "scenario-unknown"),
        ({"imageType": "basic", "durationMinutes": 0}, 422, "malformed"),
        ({"imageType": "basic", "durationMinutes": -5}, 422, "malformed"),
        ({"imageType": "basic", "durationMinutes": 61}, 422, "duration-out-of-range"),
        ({"imageType": "basic", "durationMinutes": "5"}, 422, "malformed"),
        ({"imageType": "basic", "volumeSizeMB": 5}, 422, "malformed"),
        ({"imageType": "basic", "username": "../etc"}, 422, "malformed"),
        ({"imageType": "basic", "username": "A B"}, 422, "malformed"),
        ({"imageType": "basic", "initialTokens": -1}, 422, "malformed"),
        ({"imageType": "basic", "exposure": "vpn"}, 422, "exposure-unavailable"),
        ({"imageType": "basic", "exposure": "vpn", "pass": "7"}, 422, "exposure-unavailable"),
        ({"imageType": "basic", "exposure": "vpn", "pass": "007"}, 422, "malformed"),
        ({}, 422, "malformed"),
        ([], 422, "malformed"),
    ],
)
def test_bad_requests(tokens: World, body: Any, status: int, reason: str) -> None:
    told(tokens.call("POST", "/api/provision", headers=tokens.admin, json=body), status, reason)
    assert not tokens.records()
    assert not tokens.containers()


def test_too_large_and_no_json(tokens: World) -> None:
    big = tokens.call("POST", "/api/provision", headers=tokens.admin, content=b"{" + b" " * 20_000 + b"}")
    told(big, 413, "body-too-large")
    headers = {**tokens.admin, "Content-Type": "application/json"}
    told(tokens.call("POST", "/api/provision", headers=headers, content=b"{"), 422, "malformed")


def test_who_shows_no_token_or_a_wrong_one(tokens: World) -> None:
    body = {"imageType": "basic"}
    told(tokens.call("POST", "/api/provision", json=body), 401, "signed-out")
    for token in ("x", "berth_" + "x" * 43, "a.b"):
        response = tokens.call("GET", "/api/containers", headers={"Authorization": f"Bearer {token}"})
        assert response.status_code == 401, response.text
        assert response.headers["www-authenticate"].startswith("Bearer")
    told(tokens.call("GET", "/api/leases/overview", headers=register(tokens, "nosy")), 403, "not-admin")


def test_names_of_users(tokens: World) -> None:
    register(tokens, "carol")
    told(tokens.call("POST", "/api/users", json={"username": "carol"}), 409, "username-taken")
    told(tokens.call("POST", "/api/users", json={"username": "admin"}), 409, "username-reserved")
    for name in ("", "UPPER", "a" * 40, "-x", "x/y", "ü"):
        told(tokens.call("POST", "/api/users", json={"username": name}), 422, "malformed")


def test_a_registration_whose_answer_was_lost_is_sent_again(tokens: World) -> None:
    def ask(name: str, key: str) -> Any:
        return tokens.call("POST", "/api/users", headers={"Idempotency-Key": key}, json={"username": name})

    key = "0b1c6d2e-8f4a-4c3b"
    first, again = ask("dora", key), ask("dora", key)
    assert (first.status_code, again.status_code) == (201, 201)
    held = [{"Authorization": f"Bearer {made.json()['token']}"} for made in (first, again)]
    told(tokens.call("GET", "/api/users/me", headers=held[0]), 401, "token-unknown")
    assert tokens.call("GET", "/api/users/me", headers=held[1]).json()["username"] == "dora"
    told(ask("dora", "another-key-of-somebody"), 409, "username-taken")
    told(tokens.call("POST", "/api/users", json={"username": "dora"}), 409, "username-taken")
    # A key that others might guess is no proof of who asks.
    assert ask("emma", "1").status_code == 201
    told(ask("emma", "1"), 409, "username-taken")


def test_what_is_anothers_is_not_there(tokens: World) -> None:
    alice, mallory = register(tokens, "alice"), register(tokens, "mallory")
    made = tokens.call("POST", "/api/provision", headers=alice, json={"imageType": "basic"}, params={"wait": 20}).json()
    path = f"/api/containers/{made['id']}"
    nothing = "/api/containers/01m8dwd3g75n3q9rxp4tp46617"
    for method, ask in (("GET", ""), ("DELETE", ""), ("POST", "/pause"), ("POST", "/session"), ("GET", "/logs")):
        foreign = tokens.call(method, path + ask, headers=mallory)
        unknown = tokens.call(method, nothing + ask, headers=mallory)
        body, other = told(foreign, 404, "not-found"), told(unknown, 404, "not-found")
        assert body["detail"].replace(made["id"], "") == other["detail"].replace(nothing.rsplit("/", 1)[1], "")
    told(tokens.call("POST", path + "/extend", headers=mallory, json={"minutes": 1}), 404, "not-found")
    foreign = "01m8dwd3g75n3q9rxp4tp46617.00000001"
    told(tokens.call("DELETE", f"{path}/session/{foreign}", headers=alice), 404, "not-found")
    assert tokens.records(_id=made["id"])[0]["revoked"] == []
    told(tokens.call("GET", "/api/users/alice/container", headers=mallory), 404, "not-found")
    assert tokens.call("GET", "/api/containers", headers=mallory).json()["containers"] == []
    assert tokens.call("GET", path, headers=tokens.admin).status_code == 200, "operators see everything"

    # The quota: alice has hers, a second one is told when a place is free; a third user takes the last place.
    full = tokens.call("POST", "/api/provision", headers=alice, json={"imageType": "basic"})
    assert 0 < told(full, 429, "user-quota-full")["retryAfter"] <= 3600
    assert int(full.headers["retry-after"]) > 0
    other = tokens.call("POST", "/api/provision", headers=mallory, json={"imageType": "basic"}, params={"wait": 20})
    assert other.status_code == 201
    third = tokens.call("POST", "/api/provision", headers=register(tokens, "trent"), json={"imageType": "basic"})
    told(third, 429, "quota-full")
    assert len(tokens.records(phase={"$ne": "gone"})) == 2
    ended = tokens.call("DELETE", path, headers=alice, params={"wait": 15})
    assert ended.status_code == 204
    again = tokens.call("POST", "/api/provision", headers=alice, json={"imageType": "basic"})
    assert again.status_code == 201, "its place was given back"
    told(tokens.call("POST", path + "/session", headers=alice), 409, "ending")
    told(tokens.call("POST", path + "/extend", headers=alice, json={"minutes": 1}), 409, "ending")


def test_a_key_is_for_one_request(tokens: World, folder: Path) -> None:
    who = tokens.admin
    headers = {**who, "Idempotency-Key": "a-key"}
    for one in tokens.call("GET", "/api/containers", headers=who, params={"all": True}).json()["containers"]:
        tokens.call("DELETE", f"/api/containers/{one['id']}", headers=who, params={"wait": 15})
    first = tokens.call("POST", "/api/provision", headers=headers, json={"imageType": "basic"})
    same = tokens.call("POST", "/api/provision", headers=headers, json={"imageType": "basic"})
    assert (first.status_code, same.status_code) == (201, 200)
    assert first.json()["id"] == same.json()["id"]
    other = tokens.call("POST", "/api/provision", headers=headers, json={"imageType": "talker"})
    told(other, 422, "idempotency-mismatch")


def test_nobody_is_let_in_while_draining(tokens: World) -> None:
    assert tokens.call("POST", "/api/leases/drain", headers=tokens.admin, json={"drain": True}).json()["draining"]
    told(tokens.call("POST", "/api/provision", headers=tokens.admin, json={"imageType": "basic"}), 503, "draining")
    tokens.call("POST", "/api/leases/drain", headers=tokens.admin, json={"drain": False})


def test_events_go_on_from_what_is_an_id(tokens: World) -> None:
    headers = register(tokens, "listener")
    told(tokens.call("GET", "/api/events", params={"after": "yesterday"}, headers=headers), 422, "malformed")
    told(tokens.call("GET", "/api/events", headers={**headers, "Last-Event-ID": "0"}), 422, "malformed")
    told(tokens.call("GET", "/api/events"), 401, "signed-out")
