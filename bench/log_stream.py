"""A thousand log lines a second from twenty leases, read by clients that drop at random and come back."""

from __future__ import annotations

import json
import logging
import random
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import docker
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bench.harness import Measurement, progress
from bench.lease_lab import Servers, World, built, catalogue, template

logging.getLogger("websockets").setLevel(logging.CRITICAL)  # dropping is what it is about

_leases: Final = 20
_rate: Final = 50  # lines a second of each
_seconds: Final = 30
# Ten lines, then a tenth of a second and a little less for what writing takes: perl is in Debian's base.
_writer: Final = (
    "$|=1; my $n=0; while (1) { for (1..5) { $n++; print qq(line $n\\n) } select(undef, undef, undef, 0.1) }"
)


def run() -> list[Measurement]:
    """Each client counts what it misses and what comes twice, across all its connections."""
    daemon = docker.from_env(timeout=120)
    servers = Servers(daemon, built("mongodb"), built("redis"))
    with tempfile.TemporaryDirectory() as folder:
        world: World | None = None
        try:
            servers.start()
            talker = template() | {"command": ["perl", "-e", _writer]}
            scenarios = catalogue(talker={"containers": {"main": talker}})
            world = World(servers, Path(folder), scenarios, MAX_PER_USER="100").start()
            with ThreadPoolExecutor(_leases) as pool:
                made = list(pool.map(lambda _: world.provision("talker", wait=30), range(_leases)))
            progress(f"{_leases} leases write {_rate} lines a second each")
            stop = threading.Event()
            with ThreadPoolExecutor(_leases) as pool:
                clients = [pool.submit(_client, world, one["id"], stop, number) for number, one in enumerate(made)]
                time.sleep(_seconds)
                stop.set()
                found = [client.result() for client in clients]
        finally:
            if world is not None:
                world.close()
            servers.close()
    total = {key: sum(one[key] for one in found) for key in found[0]}
    progress(f"{total['drops']} drops, {total['lines']} lines")
    wanted = 0.9 * _leases * _rate
    return [
        Measurement("log_stream", "lines", "lost", "count", total["lost"], None, 0),
        Measurement("log_stream", "lines twice", "count", "count", total["doubled"], None, 0),
        Measurement("log_stream", "unsaid gaps", "count", "count", total["unsaid"], None, 0),
        Measurement("log_stream", "gaps said", "count", "count", total["gaps"]),
        Measurement("log_stream", "drops", "count", "count", total["drops"]),
        Measurement("log_stream", "read", "throughput", "1/s", total["lines"] / _seconds, None, wanted, "at least"),
    ]  # fmt: skip


def _client(world: World, lease: str, stop: threading.Event, seed: int) -> dict[str, int]:
    """Reads for a while, drops without a word, comes back from its cursor."""
    dice = random.Random(seed)
    counts = {"lines": 0, "lost": 0, "doubled": 0, "unsaid": 0, "gaps": 0, "drops": 0}
    cursor, last, gap = "", 0, False
    while not stop.is_set():
        until = time.monotonic() + dice.uniform(0.2, 4)
        with connect(f"ws://127.0.0.1:{world.port}/ws/logs/{lease}?after={cursor}") as socket:
            while time.monotonic() < until and not stop.is_set():
                record = _next(socket)
                if record is None:
                    break
                cursor = record["cursor"]
                if record["type"] == "gap":
                    gap, counts["gaps"] = True, counts["gaps"] + 1
                    continue
                number = int(record["message"].split()[-1])
                counts["lines"] += 1
                counts["doubled"] += number <= last
                missed = max(0, number - last - 1)
                counts["lost"] += missed
                counts["unsaid"] += bool(missed) and not gap
                last, gap = number, False
            # No farewell: the line goes dead, as on a phone in a tunnel.
            socket.socket.close()
        counts["drops"] += 1
        time.sleep(dice.uniform(0, 1.5))
    return counts


def _next(socket: Any) -> dict[str, Any] | None:
    try:
        record: dict[str, Any] = json.loads(socket.recv(timeout=5))
    except (ConnectionClosed, TimeoutError, OSError):
        return None
    return record
