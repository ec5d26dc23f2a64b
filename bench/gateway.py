"""What the gateway costs a lease: time per request, requests/s with a session and a route for each lease, revocation.

Against the lease asked directly, the same HAProxy with one plain way through, and a bare Caddy, in turn.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator
from socket import create_connection
from typing import Final

from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from bench.gateway_lab import Lab, Load, domain, key, lab, stack
from bench.harness import Measurement, progress
from berth.leases.api import tickets
from berth.leases.gateway import Gateway

_rounds: Final = 4
_seconds: Final = 3
_busy: Final = 16
_revocations: Final = 10


def run() -> Iterator[Measurement]:
    """Medians over the rounds."""
    with lab() as made:
        runtime = Gateway(str(made.folder / "haproxy.sock"))
        asyncio.run(runtime.restore({}))
        token, _ = _session("l-1")
        host = f"ann.{domain}"
        urls = {
            "gateway": f"http://{made.address(made.gateway)}:8000/health",
            "direct": f"http://berth-{stack}-lease-ann:8080/health",
            "bare": f"http://berth-{stack}-bare:8000/health",
            "caddy": f"http://berth-{stack}-caddy:8000/health",
        }
        headers = {name: {"Host": host, "X-Berth-Session": token} if name == "gateway" else {} for name in urls}
        alone: dict[str, list[Load]] = {name: [] for name in urls}
        busy: dict[str, list[Load]] = {name: [] for name in urls}
        for number in range(_rounds):
            progress(f"round {number + 1} of {_rounds}")
            for name, url in urls.items():
                alone[name].append(made.load(url, 1, _seconds, headers[name]))
                busy[name].append(made.load(url, _busy, _seconds, headers[name]))
        bad = sum(load.bad for each in (alone, busy) for loads in each.values() for load in loads)
        p50 = {name: statistics.median(load.p50 for load in loads) for name, loads in alone.items()}
        rate = {name: statistics.median(load.throughput for load in loads) for name, loads in busy.items()}
        yield Measurement("gateway", "added", "p50", "ms", p50["gateway"] - p50["direct"], target=1.0)
        yield Measurement("gateway", "1 connection", "p50", "ms", p50["gateway"], p50["direct"])
        yield Measurement(
            "gateway",
            "bare",
            "throughput",
            "requests/s",
            rate["gateway"],
            rate["bare"],
            0.75 * rate["bare"],
            "at least",
        )
        yield Measurement(
            "gateway", "caddy", "throughput", "requests/s", rate["gateway"], rate["caddy"], rate["caddy"], "at least"
        )
        yield Measurement("gateway", "all", "failed", "requests", bad, target=0)
        progress("revoking sessions with an open socket")
        took = [_revoke(made, runtime, number) for number in range(_revocations)]
        yield Measurement("gateway", "revoked", "max", "s", max(took), target=2.0)


def _session(lease: str) -> tuple[str, dict[str, object]]:
    now = time.time()
    return tickets.make(key, stack, "ann", lease, now, now + 3600)


def _revoke(made: Lab, runtime: Gateway, number: int) -> float:
    """Seconds from the word to revoke until the open socket has ended and the session is refused."""
    token, claims = _session(f"l-{number}")
    address = made.address(made.gateway)
    socket = connect(
        f"ws://ann.{domain}:8000/",
        sock=create_connection((address, 8000), 5),
        additional_headers={"X-Berth-Session": token},
        proxy=None,
    )
    socket.send("open")
    socket.recv(5)
    started = time.perf_counter()

    async def revoke() -> None:
        await runtime.revoke(str(claims["jti"]), int(str(claims["exp"])))
        await runtime.close(made.address(made.lease))

    asyncio.run(revoke())
    try:
        socket.recv(5)
        raise RuntimeError("the socket is still open")
    except ConnectionClosed:
        ended = time.perf_counter() - started
    refused = made.caller.exec_run(
        ["wrk", "-t", "1", "-c", "1", "-d", "1s", "-H", f"Host: ann.{domain}", "-H", f"X-Berth-Session: {token}",
         f"http://{address}:8000/health"]
    )  # fmt: skip
    if b"Non-2xx" not in refused.output:
        raise RuntimeError("the session still counts")
    return ended
