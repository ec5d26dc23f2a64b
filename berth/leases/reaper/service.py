"""The reaper: removes what is overdue, with or without a manager."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import timedelta
from typing import Any, Final

from prometheus_client import CollectorRegistry, Counter

from berth.kit import logging, metrics, serve
from berth.kit.health import Check, Health
from berth.kit.tasks import end
from berth.leases.clock import Clock
from berth.leases.dock import Dock
from berth.leases.errors import LeaseError, Temporary
from berth.leases.names import Names
from berth.leases.reaper.verdict import Known, ending, lease_of, verdict
from berth.leases.settings import LeaseSettings
from berth.leases.store import journal
from berth.leases.store.leases import Store, connect

_stale_seconds: Final = 60.0


class Reaper:
    """Looks every ``reaper_seconds``; writes nothing but to Docker."""

    def __init__(self, settings: LeaseSettings, registry: CollectorRegistry, clock: Clock) -> None:
        self._settings, self._clock, self._names = settings, clock, Names(settings.stack)
        self._dock = Dock(settings.docker_host, settings.parallel)
        self._store = Store(connect(settings.mongodb_uri.get_secret_value()), 1, 1, timedelta(0))
        self._ending_since: dict[str, float] = {}
        self._removed = Counter("berth_reaper_removed", "What the manager had left.", ["what"], registry=registry)
        self._log = logging.get_logger("reaper")
        self._last = 0.0
        self._error: str | None = None
        self._mongo: str | None = None

    async def run(self) -> None:
        """For ever."""
        try:
            while True:
                try:
                    await self.look()
                except LeaseError as error:
                    if self._error is None:
                        self._log.warning("cannot look at what is", reason=str(error))
                    self._error = str(error)
                else:
                    self._error, self._last = None, time.monotonic()
                await asyncio.sleep(self._settings.reaper_seconds)
        finally:
            await self._dock.close()

    async def look(self) -> None:
        """Once.  LeaseError where Docker does not say."""
        mine = self._names.owned()
        containers, networks = await asyncio.gather(self._dock.containers(mine), self._dock.networks(mine))
        known = await self._known({lease_of(one["Labels"]) for one in (*containers, *networks)})
        over = await self._remove("container", containers, known)
        # A network goes after its containers: next time round if one of them would not.
        await self._remove("network", [n for n in networks if lease_of(n["Labels"]) not in over], known)

    async def _known(self, leases: Iterable[str]) -> dict[str, Known]:
        written = journal.read(self._settings.journal_dir)
        found: dict[str, Known] = {}
        answered = True
        for lease in leases:
            record = None
            if answered:
                try:
                    record = await self._store.get(lease)
                except Temporary as error:
                    answered = False
                    self._mongo = str(error)
            found[lease] = Known(answered, record, written.get(lease))
        if answered:
            self._mongo = None
        now = time.monotonic()
        self._ending_since = {lease: self._ending_since.get(lease, now) for lease, one in found.items() if ending(one)}
        return found

    async def _remove(self, what: str, found: list[dict[str, Any]], known: dict[str, Known]) -> set[str]:
        """The leases whose time is over."""
        over, now = set(), time.monotonic()
        for one in found:
            lease = lease_of(one["Labels"])
            since = now - self._ending_since.get(lease, now)
            why = verdict(one["Labels"], known[lease], self._clock, self._settings.reaper_grace_seconds, since)
            if why is None:
                continue
            over.add(lease)
            try:
                await (self._dock.remove(one["Id"]) if what == "container" else self._dock.remove_network(one["Id"]))
            except LeaseError as error:
                self._log.warning("could not remove what is overdue", lease=lease, what=what, reason=str(error))
            else:
                self._removed.labels(what).inc()
                self._log.warning("removed what was overdue", lease=lease, what=what, why=why)
        return over

    def health(self) -> Health:
        """Docker is needed; without MongoDB the journal has to do."""

        def docker() -> str | None:
            if self._error or time.monotonic() - self._last > _stale_seconds:
                raise LeaseError(self._error or "did not look for a minute")
            return None

        def mongodb() -> str | None:
            if self._mongo:
                raise LeaseError(self._mongo)
            return None

        return Health([Check("docker", docker), Check("mongodb", mongodb, required=False)])


def _ended(work: asyncio.Task[None]) -> None:
    # It does not end by itself: Docker starts the container anew, where an idle one would only be called unhealthy.
    if not work.cancelled() and (error := work.exception()) is not None:
        logging.get_logger("reaper").error("the reaper is broken and ends", exc_info=error)
        serve.end_process()


def serve_reaper(settings: LeaseSettings) -> None:
    """Run until SIGTERM or SIGINT."""
    asyncio.run(_serve(settings))


async def _serve(settings: LeaseSettings) -> None:
    registry = metrics.registry()
    reaper = Reaper(settings, registry, Clock())
    app = serve.make_app("berth reaper", reaper.health(), registry)
    work = asyncio.create_task(reaper.run())
    work.add_done_callback(_ended)
    logging.get_logger("service").info("reaper is at work", stack=settings.stack)
    try:
        await serve.serve(app, [serve.listen(settings.port)])
    finally:
        await end(work)
        if not work.cancelled():
            work.result()  # it ended by itself, which it should not: what it raised is told
