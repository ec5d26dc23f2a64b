"""Everything at once: exactly one outcome each, and what has to hold holds."""

from __future__ import annotations

import random
import time
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


def one_key(world: World, number: int) -> None:
    """Fifty clients with one idempotency key: one lease."""
    user = f"fifty-{number}"
    body, headers = {"imageType": "basic", "durationMinutes": 5}, {"Idempotency-Key": "fifty"}

    def ask() -> Any:
        return world.call("POST", "/api/provision", user, json=body, headers=headers)

    answers = at_once(*[ask] * 50)
    assert {answer.status_code for answer in answers} == {200, 201}
    assert [answer.status_code for answer in answers].count(201) == 1
    (identifier,) = {answer.json()["id"] for answer in answers}
    eventually("it runs", lambda: bool(world.get(identifier, user)["status"] == "running"))
    assert len(world.containers(identifier)) == 1
    assert world.call("DELETE", f"/api/containers/{identifier}", user, params={"wait": 15}).status_code == 204


def test_fifty_clients_with_one_key(world: World) -> None:
    one_key(world, 0)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_fifty_clients_with_one_key_for_long(world: World) -> None:
    for number in range(1, 101):
        one_key(world, number)
    clear(world)
    assert len(world.records(user={"$regex": "^fifty-"}, key="fifty")) >= 100, "one record for each round"


def rounds(world: World, count: int) -> None:
    """Deleted while it is made, at a moment that differs each time."""
    dice = random.Random(7)

    def one(number: int) -> None:
        user = f"r{number % 5}"
        body = {"imageType": "basic", "durationMinutes": 5}
        while (asked := world.call("POST", "/api/provision", user, json=body)).status_code == 429:
            time.sleep(0.1)  # places come back as removals are done
        assert asked.status_code == 201, asked.text
        path = f"/api/containers/{asked.json()['id']}"
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
    rounds(world, 700)


def at_the_very_end(world: World, count: int, dice: random.Random, before: float = 0.05) -> tuple[int, int]:
    """Extended some ``before`` (seconds) their end, more or less: (how many go on, how many are over)."""
    made = at_once(*[lambda n=n: world.provision("basic", user=f"e{n}") for n in range(count)])  # type: ignore[misc]
    ends: dict[str, float] = {}
    for one in made:
        # The manager's next look sees it; by then all of them race with its timers.
        world.shorten(one["id"], 8)
        ends[one["id"]] = time.monotonic() + 8

    def late(one: dict[str, Any]) -> int:
        time.sleep(max(0, ends[one["id"]] - time.monotonic() - before + dice.uniform(-0.05, 0.05)))
        path = f"/api/containers/{one['id']}/extend"
        return world.call("POST", path, one["username"], json={"minutes": 5}).status_code

    statuses = at_once(*[lambda one=one: late(one) for one in made])  # type: ignore[misc]
    assert set(statuses) <= {200, 409}
    for one, status in zip(made, statuses, strict=True):
        if status == 200:
            shown = world.get(one["id"], one["username"])
            assert shown["phase"] == "ready", "who was told that it goes on has it"
            assert shown["remainingSeconds"] > 250
            assert len(world.containers(one["id"])) == 1
            world.call("DELETE", f"/api/containers/{one['id']}", one["username"])
        else:
            eventually("it is gone", lambda one=one: not world.containers(one["id"]), 15)  # type: ignore[misc]
    clear(world)
    return statuses.count(200), statuses.count(409)


def test_extended_at_the_very_end(world: World) -> None:
    at_the_very_end(world, 6, random.Random(7))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_extended_at_the_very_end_for_long(world: World) -> None:
    dice, before, goes_on, over = random.Random(8), 0.05, 0, 0
    for _ in range(10):
        went, ended = at_the_very_end(world, 20, dice, before)
        goes_on, over = goes_on + went, over + ended
        # How long a request takes on this machine shows in who came too late.
        before += 0.05 if ended > went else -0.03
    assert min(goes_on, over) > 20, f"{goes_on} went on and {over} were over: they do not race"
