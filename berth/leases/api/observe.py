"""How leases look now: states from one list of all containers, and what they use, both kept for a moment."""

from __future__ import annotations

import asyncio
import re
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from berth.leases.api.models import Part, Resources
from berth.leases.dock import Dock
from berth.leases.errors import LeaseError
from berth.leases.names import Names, lease_label, role_label

_list_seconds: Final = 0.5
_list_limit: Final = 2.0
_sample_seconds: Final = 3.0
_sample_limit: Final = 2.0
_exit: Final = re.compile(r"Exited \((-?\d+)\)")


@dataclass(frozen=True)
class Sample:
    """One container's counters; ``at`` monotonic seconds, ``cpu`` and the rest as Docker counts them."""

    at: float
    cpu: int
    memory: int
    limit: int
    received: int
    sent: int
    pids: int


class Observer:
    """Looks at Docker on demand, once for everybody who asks at the same time."""

    def __init__(self, dock: Dock, names: Names) -> None:
        self._dock, self._names = dock, names
        self._listed: dict[str, list[dict[str, Any]]] = {}
        self._listed_at = 0.0
        self._listing = asyncio.Lock()
        self._samples: dict[str, tuple[Sample, float]] = {}
        self._sampling = asyncio.Semaphore(8)

    async def containers(self, lease: str) -> list[dict[str, Any]]:
        """The containers of a lease, at most half a second old, or as they were last where Docker does not say."""
        async with self._listing:
            if time.monotonic() - self._listed_at > _list_seconds:
                # Whoever waited meanwhile is not to wait again for a daemon that hangs.
                with suppress(LeaseError, TimeoutError):
                    async with asyncio.timeout(_list_limit):
                        found = await self._dock.containers(self._names.owned())
                    self._listed = {}
                    for one in found:
                        self._listed.setdefault(one["Labels"].get(lease_label, ""), []).append(one)
                self._listed_at = time.monotonic()
        return self._listed.get(lease, [])

    async def parts(self, lease: str, images: dict[str, str], detailed: bool) -> list[Part]:
        """Each container of a lease; ``images``: role -> image, of which there should be one each."""
        found = {one["Labels"].get(role_label, "main"): one for one in await self.containers(lease)}
        shown = []
        for role, image in images.items():
            one = found.get(role)
            state: Any = one["State"] if one else "missing"
            status = one["Status"] if one else ""
            exited = _exit.match(status)
            restarts, memory = await self._details(one["Id"]) if detailed and one else (0, False)
            shown.append(
                Part(
                    role=role,
                    image=image,
                    state=state,
                    health=_health(status),
                    exit_code=int(exited.group(1)) if exited else None,
                    restarts=restarts,
                    out_of_memory=memory,
                )
            )
        return shown

    async def resources(self, lease: str) -> Resources | None:
        """What its running containers use; None where none runs or Docker does not say in time."""
        running = [one["Id"] for one in await self.containers(lease) if one["State"] == "running"]
        try:
            async with asyncio.timeout(_sample_limit):
                samples = await asyncio.gather(*(self._sample(one) for one in running))
        except (TimeoutError, LeaseError):
            return None
        if not samples:
            return None
        return Resources(
            cpu_percent=round(sum(cpu for _, cpu in samples), 1),
            memory_bytes=sum(s.memory for s, _ in samples),
            memory_limit_bytes=sum(s.limit for s, _ in samples),
            network_rx_bytes=sum(s.received for s, _ in samples),
            network_tx_bytes=sum(s.sent for s, _ in samples),
            pids=sum(s.pids for s, _ in samples),
        )

    async def addresses(self, lease: str, network: str) -> list[str]:
        """The addresses of a lease on a network."""
        networks = [one["NetworkSettings"]["Networks"].get(network) or {} for one in await self.containers(lease)]
        return [n["IPAddress"] for n in networks if n.get("IPAddress")]

    def forget(self, container: str) -> None:
        self._samples.pop(container, None)

    async def _details(self, container: str) -> tuple[int, bool]:
        try:
            async with asyncio.timeout(_list_limit):
                found = await self._dock.inspect(container)
        except (LeaseError, TimeoutError):
            return 0, False
        return int(found["RestartCount"]), bool(found["State"]["OOMKilled"])

    async def _sample(self, container: str) -> tuple[Sample, float]:
        before, percent = self._samples.get(container, (None, 0.0))
        if before is not None and time.monotonic() - before.at < _sample_seconds:
            return before, percent
        async with self._sampling:
            now = _read(await self._dock.stats(container))
        if before is not None:
            percent = max(0.0, (now.cpu - before.cpu) / 1e9 / max(now.at - before.at, 1e-3) * 100)
        self._samples[container] = (now, percent)
        while len(self._samples) > 4096:
            self._samples.pop(next(iter(self._samples)))
        return now, percent


def _read(stats: dict[str, Any]) -> Sample:
    networks = (stats.get("networks") or {}).values()
    memory = stats.get("memory_stats") or {}
    # As `docker stats` counts: what could be dropped at once is not used.
    cache = (memory.get("stats") or {}).get("total_inactive_file") or (memory.get("stats") or {}).get(
        "inactive_file", 0
    )
    return Sample(
        time.monotonic(),
        int(((stats.get("cpu_stats") or {}).get("cpu_usage") or {}).get("total_usage", 0)),
        max(0, int(memory.get("usage", 0)) - int(cache)),
        int(memory.get("limit", 0)),
        sum(int(one.get("rx_bytes", 0)) for one in networks),
        sum(int(one.get("tx_bytes", 0)) for one in networks),
        int((stats.get("pids_stats") or {}).get("current", 0) or 0),
    )


def _health(status: str) -> Any:
    if "(health: starting)" in status:
        return "starting"
    return "unhealthy" if "(unhealthy)" in status else "healthy" if "(healthy)" in status else None
