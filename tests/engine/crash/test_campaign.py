"""The engine is killed at random moments; the next ``up`` has to set everything right.

``CRASH_SEED`` repeats the choices of a campaign, ``CRASH_KILLS`` is another length for the whole one.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.docker.client import Client
from tests.engine.crash.world import World
from tests.engine.docker.conftest import daemon  # noqa: F401 - the fixture that skips, and says why

pytestmark = pytest.mark.docker


@pytest.fixture
def world(tmp_path: Path, daemon: Client) -> Iterator[World]:  # noqa: F811 - that fixture
    seed = int(os.environ.get("CRASH_SEED") or secrets.randbelow(2**32))
    print(f"CRASH_SEED={seed}")
    it = World(tmp_path, seed)
    yield it
    it.clear()


def campaign(world: World, kills: int) -> None:
    world.operate("up")
    world.holds()
    while world.kills < kills:
        world.round()
        print(f"{world.kills} kills, turn {world.turn}", flush=True)
    assert "unchanged" in world.operate("up")
    world.ends_with_nothing()


@pytest.mark.timeout(240)
def test_six_kills(world: World) -> None:
    campaign(world, 6)


@pytest.mark.slow
@pytest.mark.timeout(7200)
def test_two_hundred_kills(world: World) -> None:
    campaign(world, int(os.environ.get("CRASH_KILLS") or 200))


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_kill_around_every_write(world: World) -> None:
    """Before each write of the state a call has ended that nobody knows of; after it one is announced, not made."""
    world.operate("up")
    for moment in ("before", "after"):
        number = 0
        while world.ahead(1) or world.kill_at_write("up", number := number + 1, moment):
            world.ahead(world.random.choice((0, 0, -1)))
            world.operate("up")
            world.holds()
        assert number > 10, "the program no longer changes enough"
        world.operate("up")
    world.ends_with_nothing()
