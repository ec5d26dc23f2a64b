"""The cleanup worker mends what everything else missed."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from berth.leases.store import journal
from tests.integration.leases.world import Servers, World, eventually, image

pytestmark = [pytest.mark.docker, pytest.mark.slow, pytest.mark.timeout(300)]

interval = 60.0


def swept(world: World, what: str) -> bool:
    return f'berth_lease_swept_total{{what="{what}"}}' in world.http.get("/metrics").text


def test_it_sweeps_every_so_often(servers: Servers, tmp_path: Path) -> None:
    leftover = {
        "lease": "01aaaaaaaaaaaaaaaaaaaaaaaa",
        "hard": time.time() + 900,
        "at": time.time(),
        "boot": "",
        "mark": 0,
    }
    (tmp_path / journal.file_name).write_text(json.dumps(leftover) + "\n")
    # Nothing else looks: what is found is found by the sweep.
    world = World(servers, tmp_path, RECONCILE_SECONDS="3600", CLEANUP_INTERVAL_MINUTES="1").start()
    try:
        kept, over, gone = (world.provision("basic", minutes=30) for _ in range(3))
        world.call("DELETE", f"/api/containers/{gone['id']}", params={"wait": 15})
        labels = {"berth.stack": f"berth/{world.stack}", "berth.lease": gone["id"], "berth.lease.until": "9999999999"}
        servers.daemon.containers.run(
            image, ["sleep", "infinity"], name=f"berth-{world.stack}-lease-late", labels=labels, detach=True
        )
        world.shorten(over["id"], 1)  # no timer knows
        eventually("what is overdue goes", lambda: not world.containers(over["id"]), interval + 15)
        eventually("what came up late goes", lambda: not world.containers(gone["id"]), interval + 15)
        assert swept(world, "overdue")
        eventually("a deadline of no lease goes", lambda: swept(world, "journal"), 2 * interval)
        assert set(journal.read(tmp_path)) == {kept["id"]}
        assert world.get(kept["id"])["status"] == "running"
    finally:
        world.close()
