"""A hundred leases at once until all run, and until all are gone after their end, against bare `docker run`s."""

from __future__ import annotations

import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import docker

from bench.harness import Measurement, progress
from bench.lease_lab import Servers, World, built, catalogue, eventually
from bench.lease_provision import _options
from bench.wireguard_lab import percentile

_leases: Final = 100
_in_flight: Final = 8
_soon: Final = 2.0  # seconds from the end of a lease
_nanoseconds: Final = 1_000_000_000


@dataclass
class Endings:
    """When what happened to the container of each lease, by Docker's own word; all in unix seconds."""

    ends: dict[str, float] = field(default_factory=dict)
    seen: dict[str, dict[str, float]] = field(default_factory=lambda: {"die": {}, "destroy": {}})

    def late(self, action: str) -> list[float]:
        """Seconds from each lease's end, sorted."""
        return sorted(self.seen[action][lease] - end for lease, end in self.ends.items())

    @property
    def taken(self) -> float:
        """From the first end to the last removal."""
        return max(self.seen["destroy"].values()) - min(self.ends.values())


@dataclass
class Bare:
    """Seconds that bare containers took: all to start, and each to be gone since all were asked to go."""

    start: float
    gone: list[float]


def run() -> list[Measurement]:
    """Bare, ours, bare: baselines are from before and after together.  Then a few leases that end together."""
    daemon = docker.from_env(timeout=300)
    servers = Servers(daemon, built("mongodb"), built("redis"))
    with tempfile.TemporaryDirectory() as folder:
        world: World | None = None
        try:
            servers.start()
            world = World(servers, Path(folder), catalogue(), MAX_PER_USER="100", WARN_SECONDS="10").start()
            bare = [_bare(servers)]
            ours, many, left = _ours(world, _leases)
            progress(f"{_leases} leases: {ours:.1f} s, gone in {many.taken:.1f} s; the manager took {_cpu(world)}")
            bare.append(_bare(servers))
            _, few, _ = _ours(world, _in_flight)
        finally:
            if world is not None:
                world.close()
            servers.close()
    start = sum(one.start for one in bare) / len(bare)
    removal = sum(one.gone[-1] for one in bare) / len(bare)
    each = sorted(seconds for one in bare for seconds in one.gone)
    return [
        Measurement("lease_burst", str(_leases), "seconds", "s", ours, start, 1.3 * start),
        # From the first end on, as `docker rm` is measured from its first container on.
        Measurement("lease_burst", "all gone", "seconds", "s", many.taken, removal, 1.3 * removal),
        *_spread("end to stopped", many.late("die")),
        # As many as Docker can remove at once: nobody waits for anybody.
        *_spread(f"end to gone, {_in_flight}", few.late("destroy")),
        *_spread(f"end to gone, {_leases}", many.late("destroy"), each),
        *(Measurement("lease_burst", where, "left", "count", count, None, 0) for where, count in left.items()),
    ]


def _spread(case: str, ours: list[float], bare: list[float] | None = None) -> list[Measurement]:
    """p50 and p95 of sorted seconds from the end of each."""
    return [
        Measurement(
            "lease_burst", case, name, "s", percentile(ours, share), percentile(bare, share) if bare else None, _soon
        )
        for name, share in (("p50", 0.5), ("p95", 0.95))
    ]


def _bare(servers: Servers) -> Bare:
    names = [f"berth-test-{servers.run}-bare-{n}" for n in range(_leases)]

    def start(name: str) -> None:
        subprocess.run(["docker", "run", "-d", "--name", name, *_options(servers)], check=True, capture_output=True)

    def remove(name: str) -> float:
        subprocess.run(["docker", "rm", "-f", "-v", name], check=True, capture_output=True)
        return time.perf_counter()

    with ThreadPoolExecutor(_in_flight) as pool:
        started = time.perf_counter()
        list(pool.map(start, names))
        ran = time.perf_counter()
        made = Bare(ran - started, sorted(at - ran for at in pool.map(remove, names)))
    progress(f"{_leases} bare containers: {made.start:.1f} s, gone in {made.gone[-1]:.1f} s")
    return made


def _ours(world: World, count: int) -> tuple[float, Endings, dict[str, int]]:
    """(seconds until all run, when they ended, what is left where)."""

    def ask(_: int) -> Any:
        return world.call("POST", "/api/provision", json={"imageType": "basic", "durationMinutes": 1}).json()

    with ThreadPoolExecutor(count) as pool:
        started = time.perf_counter()
        made = list(pool.map(ask, range(count)))
        # MongoDB is asked, so that looking costs the manager nothing.
        with world.servers.mongo_client() as client:
            leases = client[world.stack]["leases"]
            eventually("all run", lambda: leases.count_documents({"phase": "ready"}) == count, 300)
        taken = time.perf_counter() - started
    found = Endings({one["id"]: datetime.fromisoformat(one["expiresAt"]).timestamp() for one in made})
    with _heard(world, found):
        time.sleep(max(0.0, max(found.ends.values()) - time.time()))
        eventually("all are gone", lambda: len(found.seen["destroy"]) == count, 120)
    eventually("all are said to be gone", lambda: not world.records(phase={"$ne": "gone"}), 30)
    redis = world.servers.redis_client()
    lasting = [key for key in redis.keys(f"berth:{world.stack}:logs:*") if redis.ttl(key) < 0]
    return taken, found, {
        "containers": len(world.containers()),
        "networks": len(world.networks()),
        "in MongoDB": len(world.records(slot={"$ne": None})),
        "in Redis": len(lasting),
    }  # fmt: skip


@contextmanager
def _heard(world: World, found: Endings) -> Iterator[None]:
    """Docker's events of the leases are noted while this lasts."""
    filters = {"label": f"berth.stack=berth/{world.stack}", "event": ["die", "destroy"]}
    events = world.servers.daemon.events(decode=True, filters=filters)

    def listen() -> None:
        for event in events:
            lease = event["Actor"]["Attributes"]["berth.lease"]
            found.seen[event["Action"]].setdefault(lease, event["timeNano"] / _nanoseconds)

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    try:
        yield
    finally:
        events.close()
        thread.join(5)


def _cpu(world: World) -> str:
    assert world.process is not None
    fields = Path(f"/proc/{world.process.pid}/stat").read_text().rpartition(")")[2].split()
    return f"{(int(fields[11]) + int(fields[12])) / 100:.1f} s of a core"
