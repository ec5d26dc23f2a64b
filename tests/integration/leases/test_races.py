"""Everything at once: exactly one outcome each, and what has to hold holds."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.integration.leases.world import World, eventually

pytestmark = pytest.mark.docker


def at_once(*work: Callable[[], Any]) -> list[Any]:
    with ThreadPoolExecutor(len(work)) as pool:
        return [done.result() for done in [pool.submit(one) for one in work]]


def clear(world: World) -> None:
    def none() -> bool:
        return not [c for c in world.containers() if "-pool-" not in c.name] and not world.records(
            phase={"$ne": "gone"}
        )

    eventually("all are gone", none, 40)
    assert not world.records(phase="gone", slot={"$ne": None}), "every place was given back"


def test_fifty_clients_with_one_key(world: World) -> None:
    body, headers = {"imageType": "basic", "durationMinutes": 5}, {"Idempotency-Key": "fifty"}

    def ask() -> Any:
        return world.call("POST", "/api/provision", "fifty", json=body, headers=headers)

    answers = at_once(*[ask] * 50)
    assert {answer.status_code for answer in answers} == {200, 201}
    assert [answer.status_code for answer in answers].count(201) == 1
    (identifier,) = {answer.json()["id"] for answer in answers}
    eventually("it runs", lambda: bool(world.get(identifier, "fifty")["status"] == "running"))
    assert len(world.containers(identifier)) == 1
    world.call("DELETE", f"/api/containers/{identifier}", "fifty", params={"wait": 15})


def rounds(world: World, count: int) -> None:
    """Deleted while it is made, at a moment that differs each time."""
    dice = random.Random(7)

    def one(number: int) -> None:
        user = f"r{number % 5}"
        made = world.call("POST", "/api/provision", user, json={"imageType": "basic", "durationMinutes": 5}).json()
        path = f"/api/containers/{made['id']}"
        if dice.random() < 0.5:
            world.call("GET", path, user, params={"wait": 1})
        answers = at_once(
            lambda: world.call("DELETE", path, user),
            lambda: world.call("POST", f"{path}/extend", user, json={"minutes": 2}),
            lambda: world.call("POST", f"{path}/pause", user),
            lambda: world.call("DELETE", path, user),
        )
        assert [answer.status_code for answer in (answers[0], answers[3])] == [204, 204]
        assert answers[1].status_code in (200, 409)
        assert answers[2].status_code in (200, 409)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(one, range(count)))
    clear(world)


def test_deleted_while_it_is_made(world: World) -> None:
    rounds(world, 12)


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_deleted_while_it_is_made_for_long(world: World) -> None:
    rounds(world, 300)


def test_extended_at_the_very_end(world: World) -> None:
    made = [world.provision("basic", user=f"e{n}") for n in range(6)]
    for one in made:
        world.shorten(one["id"], 7)
    # The manager's next look sees the new end; by then all of them race with it.
    eventually("it knows", lambda: all(world.get(m["id"], m["username"])["remainingSeconds"] < 7 for m in made), 6)

    def late(one: dict[str, Any]) -> tuple[str, int]:
        path, status = f"/api/containers/{one['id']}", 0
        while status == 0:
            left = world.get(one["id"], one["username"])["remainingSeconds"]
            if left < 0.02:
                status = world.call("POST", f"{path}/extend", one["username"], json={"minutes": 5}).status_code
        return one["id"], status

    outcomes = dict(at_once(*[lambda one=one: late(one) for one in made]))  # type: ignore[misc]
    for one in made:
        if outcomes[one["id"]] == 200:
            shown = world.get(one["id"], one["username"])
            assert shown["phase"] == "ready", "who was told that it goes on has it"
            assert len(world.containers(one["id"])) == 1
            world.call("DELETE", f"/api/containers/{one['id']}", one["username"])
        else:
            assert outcomes[one["id"]] == 409
            eventually("it is gone", lambda one=one: not world.containers(one["id"]), 10)  # type: ignore[misc]
    clear(world)
