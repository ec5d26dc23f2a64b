"""The machine's clock set while leases run: none ends early, none late, whatever is done to them afterwards."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.leases.test_faults import reaper
from tests.integration.leases.world import Servers, World, eventually

pytestmark = pytest.mark.docker

hour = 3600
soon = 2.0
program = str(Path(__file__).with_name("stepped.py"))


def set_clock(world: World, seconds: float) -> None:
    beside = world.folder / "offset.new"
    beside.write_text(str(seconds))
    os.replace(beside, world.environment["CLOCK_OFFSET"])


@pytest.fixture
def world(servers: Servers, tmp_path: Path) -> Iterator[World]:
    made = World(servers, tmp_path, RECONCILE_SECONDS="2", WARN_SECONDS="1", CLOCK_OFFSET=str(tmp_path / "offset"))
    made.program = [program, "berth.leases"]
    set_clock(made, 0)
    try:
        yield made.start()
    finally:
        made.close()


@pytest.mark.parametrize(
    "step",
    [pytest.param(-2 * hour, id="back", marks=pytest.mark.slow), pytest.param(100 * hour, id="beyond every maximum")],
)
def test_a_clock_that_is_set_moves_no_end(world: World, step: float) -> None:
    kept, grown, held = (world.provision("basic") for _ in range(3))
    world.call("POST", f"/api/containers/{held['id']}/pause")
    over = world.provision("basic")
    world.shorten(over["id"], 9)
    ends = time.time() + 9
    eventually("the manager knows", lambda: bool(world.get(over["id"])["remainingSeconds"] < 9), 5)
    with reaper(world, program, "berth.leases.reaper", REAPER_GRACE_SECONDS="1"):
        set_clock(world, step)
        path = f"/api/containers/{grown['id']}/extend"
        extended = world.call("POST", path, json={"minutes": 5}).json()
        assert 550 < extended["remainingSeconds"] <= 600
        resumed = world.call("POST", f"/api/containers/{held['id']}/resume").json()
        assert (resumed["status"], resumed["remainingSeconds"] > 250) == ("running", True)
        late = world.provision("basic")
        assert 290 < late["remainingSeconds"] <= 300
        time.sleep(max(0, ends - time.time() - 0.7))
        assert world.containers(over["id"]), "removed early"
        eventually("what is over is gone", lambda: not world.containers(over["id"]), 10)
        assert time.time() - ends < soon
        time.sleep(2)  # for a reaper and a reconciliation that would think otherwise
        world.stop()
        world.start()
        for one, left in ((kept, 300), (grown, 600), (held, 300), (late, 300)):
            shown = world.get(one["id"])
            assert (shown["status"], left - 60 < shown["remainingSeconds"] <= left) == ("running", True)
            assert len(world.containers(one["id"])) == 1
        assert len(world.containers()) == 4, "none leaked"
