"""What callers may ask of leases, without HTTP: checks in their order, then the engine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Final

from berth.kit.logging import get_logger
from berth.leases.api import tickets, views
from berth.leases.api.models import (
    ContainerInfo,
    ContainerPage,
    LogLine,
    LogPage,
    Me,
    Overview,
    ScenarioInfo,
    ScenarioList,
    SessionMade,
    Status,
    UserMade,
)
from berth.leases.api.observe import Observer
from berth.leases.clock import Clock
from berth.leases.door import Door
from berth.leases.engine.admission import Admission, Asked
from berth.leases.engine.core import Engine
from berth.leases.engine.pool import Pool
from berth.leases.engine.reconcile import Reconciler
from berth.leases.errors import Refused, not_found
from berth.leases.gateway import Gateway
from berth.leases.holders import Holders
from berth.leases.model import (
    Illegal,
    Lease,
    Phase,
    alive,
    extended,
    paused,
    resumed,
    span,
)
from berth.leases.nodegates import NodeGates
from berth.leases.scenario import Scenario
from berth.leases.settings import ManagerSettings
from berth.leases.store.leases import Vanished
from berth.leases.store.users import Caller, Users
from berth.leases.streams.events import Events
from berth.leases.streams.lines import shown
from berth.leases.streams.logs import Logs

sessions_kept: Final = 200
_settle_seconds: Final = 30.0  # Docker's own interval of health checks
_act_seconds: Final = 10.0  # for a pause or resume to be done


class Desk:
    """The service behind the API."""

    def __init__(
        self, settings: ManagerSettings, engine: Engine, users: Users, pool: Pool, observer: Observer, events: Events,
        logs: Logs, reconciler: Reconciler, clock: Clock, holders: Holders | None,
        gateway: Gateway | None, nodes: NodeGates,
    ) -> None:  # fmt: skip
        self.settings, self.logs = settings, logs
        self._engine, self._users, self._pool, self._observer = engine, users, pool, observer
        self._events, self._reconciler, self._clock = events, reconciler, clock
        self._log = get_logger("desk")
        self._door = self.door = Door(gateway, nodes, settings.session_seconds, clock.wall, self.revoked)
        self._admission = Admission(settings, engine, pool, clock, holders)

    # ------------------------------------------------------------ users and scenarios

    async def register(self, username: str, wallet: str | None, key: str | None) -> UserMade:
        """A new user."""
        unnamed = wallet is not None and await self._users.of_wallet(wallet) is None
        if wallet and unnamed and (held := await self._engine.store.count(wallet.lower())):
            # They are the address's, which nobody would be any more; and their places would be free again.
            raise Refused(409, "exists", f"{wallet} has leases under its address ({held}): end them, then register")
        user, token = await self._users.register(username, wallet, key)
        self._log.info("registered", username=username, wallet=wallet)
        return UserMade(username=user.username, token=token, wallet=user.wallet, created_at=user.created)

    async def me(self, who: Caller) -> Me:
        """Who somebody is here, and what they may still lease."""
        return Me(
            username=who.username,
            admin=who.admin,
            access=self.settings.lease_access,
            wallet=who.wallet,
            leases=await self._engine.store.count(who.username),
            most_leases=self.settings.max_per_user,
            total_leases=await self._engine.store.count(),
            most_total_leases=self.settings.max_containers,
        )

    def scenarios(self) -> ScenarioList:
        """What can be leased."""
        catalogue = self.settings.catalogue
        return ScenarioList(
            scenarios=[self._scenario(name, one) for name, one in catalogue.scenarios.items()],
            access=self.settings.lease_access,
            domain=self.settings.lease_domain,
        )

    def _scenario(self, name: str, one: Scenario) -> ScenarioInfo:
        return ScenarioInfo(
            name=name,
            title=one.title or name,
            description=one.description,
            default=name == self.settings.catalogue.default,
            containers=list(one.containers),
            exposure=one.exposure,
            pooled=one.pool > 0,
            min_minutes=self.settings.min_duration_minutes,
            max_minutes=min(self.settings.max_duration_minutes, one.max_minutes or 10**9),
            memory_mib=sum(t.limits.memory_mib for t in one.containers.values()),
            cpus=round(sum(t.limits.cpus for t in one.containers.values()), 3),
        )

    # ------------------------------------------------------------ asking for one

    async def provide(
        self, who: Caller, asked: Asked, key: str | None, wait: float, sole: bool = False
    ) -> tuple[ContainerInfo, bool]:
        """A lease, and whether it is new: with a key that was used, it is the one that it made.

        ``sole``: as the one container of the user; what is there already, if it is the same, else refused.
        """
        made, new = await self._admission.admit(who, asked, key, sole)
        return await self._shown_when_ready(made, wait), new

    async def _shown_when_ready(self, lease: Lease, wait: float) -> ContainerInfo:
        starting = (Phase.requested, Phase.creating)
        if wait:
            lease = await self._engine.until(lease.id, lambda now: now.phase not in starting, wait) or lease
        return await self._show(lease, resources=False, quick=True)

    # ------------------------------------------------------------ looking

    async def show(self, who: Caller, identifier: str) -> ContainerInfo:
        """One lease of the caller's."""
        return await self._show(await self._owned(who, identifier), resources=True, detailed=True)

    async def page(
        self, who: Caller | None, cursor: str | None, limit: int, status: Status | None, ended: bool, resources: bool
    ) -> ContainerPage:
        """The newest first; ``who`` None for everybody's."""
        user = None if who is None else who.username
        phases, kept, total = views.phases(status, ended), list[ContainerInfo](), 0
        while True:
            found, total = await self._engine.store.page(user, cursor, limit, phases)
            shown = await asyncio.gather(*(self._show(lease, resources=resources) for lease in found))
            for one in shown:
                if status is None or one.status == status:
                    kept.append(one)
                    if len(kept) == limit:
                        return ContainerPage(containers=kept, next=one.id, total=total)
            if len(found) < limit:
                return ContainerPage(containers=kept, next=None, total=total)
            cursor = found[-1].id

    async def of_user(self, who: Caller) -> ContainerInfo | None:
        """The one container of a user."""
        found = await self._engine.store.sole(who.username)
        return None if found is None else await self._show(found, resources=True, detailed=True)

    async def _show(self, lease: Lease, resources: bool, detailed: bool = False, quick: bool = False) -> ContainerInfo:
        live = lease.phase in alive and not quick
        parts = await self._observer.parts(lease.id, lease.images, detailed) if live else []
        if lease.ready_at is not None and self._clock.wall() - lease.ready_at < self._settles(lease):
            # While it waited, paused, its health could not be asked for either.
            parts = [p.model_copy(update={"health": "starting"}) if p.health == "unhealthy" else p for p in parts]
        used = await self._observer.resources(lease.id) if resources and lease.phase is Phase.ready else None
        return views.show(lease, parts, used, self.settings, self._clock)

    def _settles(self, lease: Lease) -> float:
        scenario = self.settings.catalogue.scenarios.get(lease.scenario)
        checks = (
            [t.health.interval + t.health.timeout for t in scenario.containers.values() if t.health] if scenario else []
        )
        return max(checks, default=_settle_seconds) + 1

    async def _owned(self, who: Caller, identifier: str) -> Lease:
        lease = await self._engine.store.get(identifier)
        if lease is None or not (who.admin or lease.user == who.username):
            raise not_found(identifier)
        return lease

    # ------------------------------------------------------------ changing

    async def end(self, who: Caller, identifier: str, wait: float) -> None:
        """Ends a lease; ended before is no error."""
        lease = await self._owned(who, identifier)
        try:
            await self._engine.end(lease.id, "deleted")
        except Vanished:
            return
        if wait:
            await self._engine.until(lease.id, lambda now: now.phase is Phase.gone, wait)

    async def delete_of_user(self, who: Caller) -> None:
        """Ends the one container of a user."""
        found = await self._engine.store.sole(who.username)
        if found is None:
            raise Refused(404, "not-found", f"{who.username} has no container")
        await self._engine.end(found.id, "deleted")

    async def extend(self, who: Caller, identifier: str, seconds: float, key: str | None) -> ContainerInfo:
        """More time, once for each key."""
        await self._owned(who, identifier)

        once = None if key is None else f"{key} {seconds:g}"

        def change(lease: Lease) -> Lease:
            if (before := next((one for one in lease.extensions if one.partition(" ")[0] == key), None)) is not None:
                if before != once:
                    raise Refused(422, "idempotency-mismatch", f"the key {key} was for {before.partition(' ')[2]} s")
                return lease
            if lease.phase is not Phase.paused and self._clock.left(lease.expires) <= 0:
                raise Illegal(f"lease {lease.id} is over: its time cannot be extended")
            return extended(lease, seconds, views.longest_of(lease, self.settings), self._clock.wall(), once)

        before, after = await self._change(identifier, change)
        if after is not before:
            self._engine.tell("extended", after, f"has {span(seconds)} more")
        return await self._show(after, resources=False)

    async def pause(self, who: Caller, identifier: str) -> ContainerInfo:
        """Stopped where it is; paused before is no error."""
        await self._owned(who, identifier)

        def change(lease: Lease) -> Lease:
            if lease.phase is Phase.paused:
                return lease
            return paused(lease, max(0.0, self._clock.left(lease.expires)), self._clock.wall())

        return await self._act(identifier, change, "paused", "is paused; its time stands still")

    async def resume(self, who: Caller, identifier: str) -> ContainerInfo:
        """Goes on; running is no error."""
        await self._owned(who, identifier)

        def change(lease: Lease) -> Lease:
            return lease if lease.phase is Phase.ready else resumed(lease, self._clock.wall())

        return await self._act(identifier, change, "resumed", "goes on")

    async def _act(self, identifier: str, change: Callable[[Lease], Lease], kind: str, told: str) -> ContainerInfo:
        before, after = await self._change(identifier, change)
        if after is not before:
            self._engine.tell(kind, after, told)
        await self._engine.idle(identifier, _act_seconds)
        return await self._show(after, resources=False)

    async def _change(self, identifier: str, change: Callable[[Lease], Lease]) -> tuple[Lease, Lease]:
        try:
            return await self._engine.change(identifier, change)
        except Vanished:
            raise not_found(identifier) from None
        except Illegal as error:
            raise Refused(409, error.reason, str(error)) from None

    async def session(self, who: Caller, identifier: str) -> SessionMade:
        """A way in through the gateway, until the lease ends at the latest."""
        lease = await self._owned(who, identifier)
        left = self._clock.left(lease.expires)
        if lease.phase not in alive or left <= 1:
            raise Refused(409, "ending", f"lease {identifier} is {lease.phase}: there is nothing to open")
        now = self._clock.wall()
        until = now + min(left, self.settings.session_seconds)
        key = self.settings.session_key.get_secret_value()
        token, claims = tickets.make(key, self.settings.stack, lease.name, lease.id, now, until)
        url = f"{self.settings.url_of(lease.name, lease.exposure)}/"
        if lease.exposure == "public":
            # In the tunnel the address that asks says whose pass it is.
            url += f"?berth_session={token}"
        return SessionMade(id=str(claims["jti"]), token=token, url=url, expires_at=views.moment(float(claims["exp"])))

    async def revoke(self, who: Caller, identifier: str, session: str) -> None:
        """Ends a session before its time; the connections to the lease are closed, those who may come back."""
        lease = await self._owned(who, identifier)
        if session.partition(".")[0] != lease.id:
            raise Refused(404, "not-found", f"lease {lease.id} has no session {session}")
        if lease.phase is Phase.gone:
            return  # and all its sessions with it
        until = self._clock.wall() + self.settings.session_seconds

        def change(lease: Lease) -> Lease:
            still = [one for one in lease.revoked if float(one.partition(":")[2]) > self._clock.wall()]
            if any(one.partition(":")[0] == session for one in still):
                return lease
            if len(still) >= sessions_kept:
                told = f"{len(still)} sessions of lease {lease.id} have ended early: end the lease to end all of them"
                raise Illegal(told, "limit-reached")
            return lease.changed(revoked=(*still, f"{session}:{int(until)}"))

        _, after = await self._change(identifier, change)
        await self._door.refuse(session, until, await self._observer.addresses(after.id, self.settings.network))

    async def revoked(self) -> dict[str, int]:
        """What the gateway has to know: leases that ended, and sessions that were ended."""
        now, seconds = self._clock.wall(), self.settings.session_seconds
        found = {
            one.id: int((one.ended_at or now) + seconds) for one in await self._engine.store.ended_since(now - seconds)
        }
        for lease in await self._engine.store.all_live():
            sessions = (one.partition(":") for one in lease.revoked)
            found |= {sid: int(until) for sid, _, until in sessions if int(until) > now}
        return found

    # ------------------------------------------------------------ streams

    async def with_role(self, who: Caller, identifier: str, role: str) -> Lease:
        """The lease whose logs the caller may read, if it has such a container."""
        lease = await self._owned(who, identifier)
        if role not in lease.images:
            roles = ", ".join(lease.images)
            raise Refused(404, "not-found", f"lease {lease.id} has no container {role[:40]!r}: it has {roles}")
        return lease

    async def log_page(self, who: Caller, identifier: str, after: str | None, limit: int, role: str) -> LogPage:
        """A page of what the lease wrote."""
        lease = await self.with_role(who, identifier, role)
        records, cursor, more = await self.logs.page(lease, role, after, limit)
        lines = [LogLine.model_validate(shown(record, role)) for record in records]
        return LogPage(lines=lines, cursor=str(cursor), more=more)

    async def follow_events(self, who: Caller | None, after: str | None) -> AsyncIterator[str]:
        """Server-sent events, with a comment now and then that keeps proxies from giving up."""
        async for text in self._events.served(None if who is None else who.username, after):
            yield text

    def event(self, kind: str, lease: Lease, message: str) -> dict[str, Any]:
        """What is published of a change."""
        shown = views.show(lease, [], None, self.settings, self._clock)
        return {
            "kind": kind,
            "lease": lease.id,
            "username": lease.user,
            "at": views.moment(self._clock.wall()).isoformat(),
            "message": message,
            "container": shown.model_dump(mode="json", by_alias=True),
        }

    # ------------------------------------------------------------ operators

    async def overview(self) -> Overview:
        """How many of what, and what is wrong."""
        return Overview(
            draining=self._admission.draining,
            phases=await self._engine.store.phases(),
            leases=await self._engine.store.count(),
            most_leases=self.settings.max_containers,
            pool=self._pool.sizes(),
            dead_letters=len(
                [lease for lease in await self._engine.store.failing() if lease.failed and lease.failed.dead]
            ),
            users=await self._users.count(),
            strangers=self._reconciler.strangers,
        )

    async def dead_letters(self) -> ContainerPage:
        """Leases with a step that failed too often."""
        dead = [lease for lease in await self._engine.store.failing() if lease.failed and lease.failed.dead]
        shown = [await self._show(lease, resources=False) for lease in dead]
        return ContainerPage(containers=shown, next=None, total=len(shown))

    async def retry(self, identifier: str) -> ContainerInfo:
        """Tries what failed again, now."""
        lease = await self._engine.store.get(identifier)
        if lease is None:
            raise not_found(identifier)
        if lease.phase is Phase.gone:
            raise Refused(409, "ending", f"lease {identifier} is gone: there is nothing to try")
        self._engine.kick(identifier)
        return await self._show(lease, resources=False)

    async def drain(self, drain: bool, end: bool) -> Overview:
        """No new leases, or again; ``end``: the running ones end as well."""
        self._admission.draining = drain
        self._pool.draining = drain
        self._log.warning("draining" if drain else "taking leases again", ending=end)
        if drain:
            await self._pool.empty()
        if end:
            for lease in await self._engine.store.all_live():
                await self._engine.end(lease.id, "drained")
        return await self.overview()
