"""From the request to a running container: out of the pool and made anew, against `docker run -d` of the same."""

from __future__ import annotations

import statistics
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any, Final

import docker

from bench.harness import Measurement, progress
from bench.lease_lab import Servers, World, built, catalogue, eventually, image, template

_rounds: Final = 20
_pool: Final = 4


def run() -> list[Measurement]:
    """Interleaved, so that what else the machine does meets all three alike."""
    daemon = docker.from_env(timeout=120)
    servers = Servers(daemon, built("mongodb"), built("redis"))
    found: dict[str, list[float]] = {"warm": [], "cold": [], "bare": []}
    with tempfile.TemporaryDirectory() as folder:
        world: World | None = None
        try:
            servers.start()
            warm = {"containers": {"main": template()}, "pool": _pool}
            world = World(servers, Path(folder), catalogue(warm=warm)).start()
            for number in range(_rounds):
                if number % 10 == 0:
                    progress(f"round {number} of {_rounds}")
                _full(world)
                found["bare"].append(bare(servers, f"berth-test-{servers.run}-bare"))
                found["warm"].append(_lease(world, "warm"))
                _full(world)
                found["cold"].append(_lease(world, "basic"))
        finally:
            if world is not None:
                world.close()
            servers.close()
    limits = {"warm": (0.5, 1.0), "cold": (1.3, None)}
    made = []
    for case, (median, tail) in limits.items():
        for metric, share, target in (("p50", 50, median), ("p95", 95, tail)):
            baseline = _percentile(found["bare"], share)
            ours = _percentile(found[case], share)
            wanted = None if target is None else target * baseline
            made.append(Measurement("lease_provision", case, metric, "ms", ours, baseline, wanted))
    return made


def bare(servers: Servers, name: str) -> float:
    """Milliseconds of `docker run -d` with what a lease has, and nothing of ours in between."""
    started = time.perf_counter()
    subprocess.run(["docker", "run", "-d", "--name", name, *_options(servers)], check=True, capture_output=True)
    taken = (time.perf_counter() - started) * 1000
    servers.daemon.containers.get(name).remove(force=True, v=True)
    return taken


def _options(servers: Servers) -> list[str]:
    return [
        "--label", "berth.test=leases", "--network", servers.network, "--user", "1001:1001", "--read-only",
        "--cap-drop", "ALL", "--security-opt", "no-new-privileges:true", "--memory", "32m", "--memory-swap", "32m",
        "--cpus", "0.5", "--pids-limit", "32", "--init", "--tmpfs", "/tmp:rw,nosuid,nodev,noexec,size=16m",
        "--ulimit", "nofile=1024:1024", "--log-opt", "max-size=4096k", "--log-opt", "max-file=2",
        "--restart", "on-failure:3", image, "sh", "-c", "exec sleep infinity",
    ]  # fmt: skip


def _lease(world: World, scenario: str) -> float:
    """Milliseconds from the request, over HTTP, until the answer says that it runs."""
    started = time.perf_counter()
    made: Any = world.provision(scenario)
    taken = (time.perf_counter() - started) * 1000
    assert made["status"] == "running", made["why"]
    assert made["warm"] is (scenario == "warm"), "the pool was empty"
    world.call("DELETE", f"/api/containers/{made['id']}", params={"wait": 20})
    return taken


def _full(world: World) -> None:
    def full() -> bool:
        shown = world.call("GET", "/api/leases/overview", headers=world.admin).json()
        return bool(shown["pool"].get("warm") == _pool)

    eventually("the pool is full", full, 60)


def _percentile(values: list[float], share: int) -> float:
    return statistics.quantiles(values, n=100, method="inclusive")[share - 1]
