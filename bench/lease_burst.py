"""A hundred leases at once until all run, and until all are gone after their end, against bare `docker run`s."""

from __future__ import annotations

import subprocess
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import docker

from bench.harness import Measurement, progress
from bench.lease_lab import Servers, World, built, catalogue, eventually
from bench.lease_provision import _options

_leases: Final = 100
_in_flight: Final = 8


def run() -> list[Measurement]:
    """Bare, ours, bare: the baseline is the mean of before and after."""
    daemon = docker.from_env(timeout=300)
    servers = Servers(daemon, built("mongodb"), built("redis"))
    with tempfile.TemporaryDirectory() as folder:
        world: World | None = None
        try:
            servers.start()
            world = World(servers, Path(folder), catalogue(), MAX_PER_USER="100", WARN_SECONDS="10").start()
            before = _bare(servers)
            progress(f"{_leases} bare containers: {before[0]:.1f} s, gone in {before[1]:.1f} s")
            ours, overdue, left = _ours(world)
            progress(f"{_leases} leases: {ours:.1f} s, gone {overdue:.1f} s after the last one's end")
            after = _bare(servers)
        finally:
            if world is not None:
                world.close()
            servers.close()
    start, removal = (before[0] + after[0]) / 2, (before[1] + after[1]) / 2
    return [
        Measurement("lease_burst", str(_leases), "seconds", "s", ours, start, 1.3 * start),
        Measurement("lease_burst", "expiry to gone", "seconds", "s", overdue, removal),
        *(Measurement("lease_burst", where, "left", "count", count, None, 0) for where, count in left.items()),
    ]


def _bare(servers: Servers) -> tuple[float, float]:
    names = [f"berth-test-{servers.run}-bare-{n}" for n in range(_leases)]

    def start(name: str) -> None:
        subprocess.run(["docker", "run", "-d", "--name", name, *_options(servers)], check=True, capture_output=True)

    def remove(name: str) -> None:
        subprocess.run(["docker", "rm", "-f", "-v", name], check=True, capture_output=True)

    with ThreadPoolExecutor(_in_flight) as pool:
        started = time.perf_counter()
        list(pool.map(start, names))
        ran = time.perf_counter()
        list(pool.map(remove, names))
        return ran - started, time.perf_counter() - ran


def _ours(world: World) -> tuple[float, float, dict[str, int]]:
    """(seconds until all run, seconds from the last end to the last removal, what is left where)."""

    def ask(_: int) -> Any:
        return world.call("POST", "/api/provision", json={"imageType": "basic", "durationMinutes": 1}).json()

    with ThreadPoolExecutor(_leases) as pool:
        started = time.perf_counter()
        made = list(pool.map(ask, range(_leases)))
        # MongoDB is asked, so that looking costs the manager nothing.
        with world.servers.mongo_client() as client:
            leases = client[world.stack]["leases"]
            eventually("all run", lambda: leases.count_documents({"phase": "ready"}) == _leases, 300)
        taken = time.perf_counter() - started
    ends = max(datetime.fromisoformat(one["expiresAt"]).timestamp() for one in made)
    time.sleep(max(0.0, ends - time.time()))
    eventually("all are gone", lambda: not world.containers(), 120)
    overdue = time.time() - ends
    eventually("all are said to be gone", lambda: not world.records(phase={"$ne": "gone"}), 30)
    redis = world.servers.redis_client()
    lasting = [key for key in redis.keys(f"berth:{world.stack}:logs:*") if redis.ttl(key) < 0]
    return taken, overdue, {
        "containers": len(world.containers()),
        "networks": len(world.networks()),
        "in MongoDB": len(world.records(slot={"$ne": None})),
        "in Redis": len(lasting),
    }  # fmt: skip
