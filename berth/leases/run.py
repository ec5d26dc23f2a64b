"""The manager put together from its parts."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta
from typing import Final

from prometheus_client import CollectorRegistry
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from berth.access.api.origins import Origins, twins
from berth.access.api.sessions import Sessions
from berth.chain.endpoint import Endpoint
from berth.chain.history import History
from berth.chain.key_registry import KeyRegistry
from berth.chain.quorum import Quorum
from berth.kit import logging, metrics, serve
from berth.kit.health import Check, Health
from berth.kit.tasks import end
from berth.leases.api.app import build
from berth.leases.api.callers import Callers
from berth.leases.api.desk import Desk
from berth.leases.api.observe import Observer
from berth.leases.clock import Clock
from berth.leases.dock import Dock
from berth.leases.engine.advance import Advance, Place
from berth.leases.engine.core import Engine
from berth.leases.engine.passwatch import PassWatch
from berth.leases.engine.pool import Pool
from berth.leases.engine.reconcile import Reconciler
from berth.leases.engine.sweep import Sweeper
from berth.leases.engine.watch import Watch
from berth.leases.errors import LeaseError
from berth.leases.gateway import Gateway
from berth.leases.holders import Holders
from berth.leases.metrics import LeaseMetrics
from berth.leases.model import Lease, Phase
from berth.leases.names import Names
from berth.leases.nodegates import NodeGates
from berth.leases.settings import ManagerSettings, parts
from berth.leases.signouts import SignOuts
from berth.leases.store.journal import Journal
from berth.leases.store.leases import Store, connect
from berth.leases.store.seen import Seen
from berth.leases.store.users import Users
from berth.leases.streams.events import Events
from berth.leases.streams.logs import Logs

_redis_seconds: Final = 2.0
_look_seconds: Final = 2.0


class Manager:
    """Everything, made inside a running loop; :meth:`start` begins the work, :meth:`stop` ends it."""

    def __init__(self, settings: ManagerSettings, registry: CollectorRegistry, clock: Clock | None = None) -> None:
        self.settings, self.registry = settings, registry
        clock = clock or Clock()
        catalogue, names = settings.catalogue, Names(settings.stack)
        self.counts = LeaseMetrics(registry)
        self.dock = Dock(settings.docker_host, settings.parallel)
        self.redis: Redis = Redis.from_url(
            settings.redis_url.get_secret_value(),
            socket_timeout=_redis_seconds,
            socket_connect_timeout=_redis_seconds,
            # Whoever needs Redis here goes on without it at once.
            retry=Retry(NoBackoff(), 1),
        )
        database = connect(settings.mongodb_uri.get_secret_value())
        self.database = database
        keep = timedelta(seconds=max(settings.keep_minutes * 60, settings.session_seconds))
        self.store = Store(database, settings.max_containers, settings.max_per_user, keep)
        self.users = Users(database)
        self.journal = Journal(settings.journal_dir)
        self.events = Events(self.redis, settings.stack)
        self.engine = Engine(
            catalogue, self.store, self.dock, clock, self.journal, names, settings.warnings, self._tell
        )
        place = Place(
            settings.network,
            settings.lease_port,
            settings.lease_domain,
            settings.lease_vpn_domain,
            settings.stop_seconds,
        )
        self.logs = Logs(self.dock, self.redis, names, settings.stack, int(keep.total_seconds()), self._lease)
        self.advance = Advance(self.engine, self.dock, place, self._farewell)
        self.engine.use(self.advance)
        self.pool = Pool(
            catalogue, self.dock, names, clock, place, settings.longest, settings.pool_hours, settings.waiting,
            self._is_making,
        )  # fmt: skip
        self.reconciler = Reconciler(self.engine, self.dock, self.pool, self.advance, settings.reconcile_seconds)
        self.sweeper = Sweeper(
            self.engine, self.reconciler, self.journal, settings.cleanup_interval_minutes * 60,
            lambda what: self.counts.swept.labels(what).inc(),
        )  # fmt: skip
        self.watch = Watch(self.engine, self.dock, self.reconciler, Seen(settings.journal_dir))
        self.observer = Observer(self.dock, names)
        self.holders, self.sessions = _holders(settings), _sessions(settings)
        self.sign_outs = SignOuts(settings.access_url, self.sessions) if self.sessions and settings.access_url else None
        self.desk = Desk(
            settings, self.engine, self.users, self.pool, self.observer, self.events, self.logs, self.reconciler, clock,
            self.holders, Gateway(settings.gateway_socket) if settings.gateway_socket else None,
            NodeGates(settings.node_gateways),
        )  # fmt: skip
        self.clock = clock
        self._tasks: list[asyncio.Task[None]] = []
        self._mongo_error: str | None = "not asked yet"
        self._log = logging.get_logger("service")

    async def start(self) -> None:
        """Indexes, then everything that goes on by itself; waits for MongoDB as long as it takes."""
        while True:
            try:
                await self.store.prepare()
                await self.users.prepare()
                break
            except Exception as error:  # noqa: BLE001 - whatever MongoDB says at the start, it is asked again
                self._mongo_error = str(error)[:200]
                self._log.warning("waiting for MongoDB", reason=self._mongo_error)
                await asyncio.sleep(1)
        self.events.start()
        work = (
            self.engine.deadlines.run(), self.watch.run(), self.reconciler.run(), self.pool.run(), self._look(),
            self.watch.note(), self.desk.door.run(), self.sweeper.run(),
        )  # fmt: skip
        self._tasks = [asyncio.create_task(one) for one in work]
        if self.holders is not None:
            only = self.settings.lease_access == "pass"
            self._tasks.append(asyncio.create_task(PassWatch(self.engine, self.holders, only).run()))
        if self.sign_outs is not None:
            self._tasks.append(asyncio.create_task(self.sign_outs.run()))
        for task in self._tasks:
            task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Ends the step that each lease is in; what is left goes on after the next start."""
        self.engine.stopping = True
        for task in self._tasks:
            task.remove_done_callback(self._ended)
        await end(*self._tasks)
        await self.engine.stop()
        await self.logs.stop()
        await self.events.stop()
        await self.dock.close()
        await self.redis.aclose()
        await self.database.client.close()
        self.journal.close()

    def _ended(self, task: asyncio.Task[None]) -> None:
        # None of them ends by itself: this is a fault of ours, and a restart takes up everything where it was.
        if not task.cancelled() and (error := task.exception()) is not None:
            self._log.error("the manager is broken and ends", exc_info=error)
            serve.end_process()

    def _tell(self, kind: str, lease: Lease, message: str) -> None:
        self.counts.events.labels(kind).inc()
        if kind == "ready" and lease.ready_at is not None:
            self.counts.provision.labels("warm" if lease.warm else "cold").observe(lease.ready_at - lease.created)
        if kind == "gone" and lease.ended_by == "expired":
            self.counts.overdue.observe(max(0.0, -self.clock.left(lease.expires)))
        self._log.info(kind, lease=lease.id, user=lease.user, scenario=lease.scenario, phase=lease.phase, told=message)
        self.events.publish(self.desk.event(kind, lease, message))

    async def _farewell(self, lease: Lease, addresses: list[str]) -> None:
        await asyncio.gather(self.logs.save(lease), self.desk.door.leave(lease, addresses))

    async def _lease(self, identifier: str) -> Lease | None:
        return self.engine.known.get(identifier) or await self.store.get(identifier)

    def _is_making(self) -> bool:
        return any(lease.phase in (Phase.requested, Phase.creating) for lease in self.engine.known.values())

    async def _look(self) -> None:
        """Keeps health and gauges current, so that asking for them costs nothing."""
        while True:
            try:
                await self.store.ping()
                failing = await self.store.failing()
                self.counts.dead.set(len([lease for lease in failing if lease.failed and lease.failed.dead]))
                self._mongo_error = None
            except Exception as error:  # noqa: BLE001 - whatever it is, it is shown as the state of MongoDB
                self._mongo_error = str(error)[:200] or type(error).__name__
            self.counts.live.set(len(self.engine.known))
            self.counts.strangers.set(len(self.reconciler.strangers))
            for scenario, waiting in self.pool.sizes().items():
                self.counts.waiting.labels(scenario).set(waiting)
            with suppress(Exception):
                await self.redis.ping()
                self.events.error = None
            await asyncio.sleep(_look_seconds)

    # ------------------------------------------------------------ health

    def health(self) -> Health:
        """MongoDB and Docker are needed; without Redis leases are as well as ever."""
        return Health([
            Check("mongodb", lambda: _unless(self._mongo_error)),
            Check("docker", lambda: _unless(self.reconciler.error or ("" if self.watch.connected else "no events"))),
            Check("redis", lambda: _unless(self.events.error or self.logs.redis_error), required=False),
            Check("gateway", lambda: _unless(self.desk.door.error), required=False),
            Check("access", lambda: _unless(self.sign_outs.error if self.sign_outs else None), required=False),
            Check("leases", lambda: f"{len(self.engine.known)} of {self.settings.max_containers}", required=False),
        ])  # fmt: skip

    def callers(self) -> Callers:
        """Who may ask, as the settings say."""
        settings = self.settings
        named = [settings.public_url, *parts(settings.origins)]
        served = Origins(settings.public_url, frozenset(twin for one in named for twin in twins(one)))
        return Callers(settings, self.users, served, self.sessions, self.holders if self.sessions else None)


def _sessions(settings: ManagerSettings) -> Sessions | None:
    """The access API's, where the wallets that sign in there are who may lease."""
    if settings.lease_access != "pass" or settings.access_session_key is None:
        return None
    key, audience = settings.access_session_key.get_secret_value(), f"{settings.chain_id}|{settings.key_registry}"
    return Sessions(key, audience, settings.session_seconds)


def _holders(settings: ManagerSettings) -> Holders | None:
    """Where a chain is named, whatever the access: leases that a pass owns end with it."""
    if settings.chain_id is None or not settings.rpc_urls or not settings.key_registry:
        return None
    endpoint = Quorum([Endpoint(url, settings.chain_id) for url in parts(settings.rpc_urls)], settings.quorum)
    return Holders(endpoint, KeyRegistry(endpoint, settings.key_registry), History(endpoint, settings.key_registry))


def _unless(error: str | None) -> str | None:
    if error:
        raise LeaseError(error)
    return None


def serve_leases(settings: ManagerSettings) -> None:
    """Run until SIGTERM or SIGINT."""
    asyncio.run(_serve(settings))


async def _serve(settings: ManagerSettings) -> None:
    log = logging.get_logger("service")
    manager = Manager(settings, metrics.registry())
    listener = serve.listen(settings.port)
    app = build(manager.desk, manager.callers(), manager.health(), manager.registry)
    starting = asyncio.create_task(manager.start())
    log.info("lease manager is serving", port=settings.port, stack=settings.stack, access=settings.lease_access)
    try:
        await serve.serve(app, [listener], websockets=True)
    finally:
        await end(starting)
        if not starting.cancelled():
            starting.result()  # what it raised is told
        await manager.stop()
        log.info("lease manager has stopped")
