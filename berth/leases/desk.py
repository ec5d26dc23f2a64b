"""What callers may ask of leases, without HTTP: checks in their order, then the engine."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from berth.kit.logging import get_logger
from berth.leases import tickets, views
from berth.leases.api.models import (
    ContainerInfo,
    ContainerPage,
    LogPage,
    Me,
    Overview,
    ScenarioInfo,
    ScenarioList,
    SessionMade,
    Status,
    UserMade,
)
from berth.leases.clock import Clock
from berth.leases.engine import Engine
from berth.leases.errors import Refused, Temporary, not_found
from berth.leases.events import Events
from berth.leases.logs import Logs
from berth.leases.model import (
    Illegal,
    Lease,
    Phase,
    alive,
    extended,
    new_id,
    new_name,
    paused,
    resumed,
)
from berth.leases.observe import Observer
from berth.leases.pool import Pool
from berth.leases.reconcile import Reconciler
from berth.leases.scenario import Exposure, Scenario
from berth.leases.settings import ManagerSettings
from berth.leases.store import Full, Taken, Vanished
from berth.leases.users import Users

if TYPE_CHECKING:
    from berth.leases.api.callers import Caller

_act_seconds: Final = 10.0  # for a pause or resume to be done


@dataclass(frozen=True)
class Asked:
    """A lease to be: ``seconds`` None for the longest life."""

    scenario: str
    seconds: float | None
    tokens: int | None
    exposure: Exposure | None
    token: str | None = None

    @property
    def fingerprint(self) -> str:
        """The same for the same request."""
        return sha256(
            json.dumps([self.scenario, self.seconds, self.tokens, self.exposure, self.token]).encode()
        ).hexdigest()[:32]


class Desk:
    """The service behind the API."""

    def __init__(
        self, settings: ManagerSettings, engine: Engine, users: Users, pool: Pool, observer: Observer, events: Events,
        logs: Logs, reconciler: Reconciler, clock: Clock,
    ) -> None:  # fmt: skip
        self.settings, self.logs = settings, logs
        self._engine, self._users, self._pool, self._observer = engine, users, pool, observer
        self._events, self._reconciler, self._clock = events, reconciler, clock
        self._log = get_logger("desk")
        self.draining = False

    # ------------------------------------------------------------ users and scenarios

    async def register(self, username: str, wallet: str | None) -> UserMade:
        """A new user."""
        user, token = await self._users.register(username, wallet)
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

    async def provide(self, who: Caller, asked: Asked, key: str | None, wait: float) -> tuple[ContainerInfo, bool]:
        """A lease, and whether it is new: with a key that was used, it is the one that it made."""
        made, new = await self._admit(who, asked, key, sole=False)
        return await self._shown_when_ready(made, wait), new

    async def provide_user(self, who: Caller, asked: Asked, key: str | None, wait: float) -> tuple[ContainerInfo, bool]:
        """The one container of a user: what is there already if it is the same, else refused."""
        made, new = await self._admit(who, asked, key, sole=True)
        return await self._shown_when_ready(made, wait), new

    async def _admit(self, who: Caller, asked: Asked, key: str | None, sole: bool) -> tuple[Lease, bool]:
        fingerprint = asked.fingerprint
        if key is not None and (before := await self._engine.store.of_key(who.username, key)) is not None:
            return _same(before, fingerprint, key), False
        scenario, seconds = self._checked(asked)
        for _ in range(20):
            member = self._pool.take(asked.scenario)
            lease = self._new(who, asked, scenario, seconds, key, sole, member)
            try:
                placed = await self._engine.admit(lease, self._subnets(scenario))
            except BaseException as error:
                if member is not None and not (isinstance(error, Taken) and error.what == "_id"):
                    self._pool.give_back(asked.scenario, member)
                if isinstance(error, Full):
                    raise await self._full(who, error) from error
                if not isinstance(error, Taken):
                    raise
                if found := await self._other(who, error.what, key, fingerprint):
                    return found, False
                if member is not None and error.what == "_id":
                    self._pool.taken(member)
            else:
                if member is not None:
                    self._pool.taken(member)
                self._engine.tell("requested", placed, "was asked for")
                self._engine.kick(placed.id)
                return placed, True
        raise Temporary("no free name was found: try again")

    async def _other(self, who: Caller, what: str, key: str | None, fingerprint: str) -> Lease | None:
        """The lease that had it first, where that is an answer."""
        if what == "key" and key is not None:
            found = await self._engine.store.of_key(who.username, key)
            return _same(found, fingerprint, key) if found else None
        if what == "sole":
            found = await self._engine.store.sole(who.username)
            if found is not None and (found.phase not in alive or found.fingerprint != fingerprint):
                ending = "which is ending" if found.phase not in alive else "made differently: delete it first"
                raise Refused(409, "exists", f"{who.username} has a container, {ending}", lease=found.id)
            return found
        return None

    def _new(
        self, who: Caller, asked: Asked, scenario: Scenario, seconds: float, key: str | None, sole: bool,
        member: str | None,
    ) -> Lease:  # fmt: skip
        now = self._clock.wall()
        return Lease(
            id=member or new_id(now),
            name=new_name(who.username if sole else asked.scenario),
            user=who.username,
            scenario=asked.scenario,
            created=now,
            lifetime=seconds,
            expires=self._clock.deadline(now + seconds),
            hard=now + 2 * self.settings.longest,
            # What waits already is made: all that is left is to claim it.
            phase=Phase.creating if member else Phase.requested,
            exposure=asked.exposure or scenario.exposure,
            holder_of=asked.token,
            tokens=asked.tokens,
            warm=member is not None,
            sole=who.username if sole else None,
            key=key,
            fingerprint=asked.fingerprint,
            wallet=who.wallet,
            images={role: template.image for role, template in scenario.containers.items()},
        )

    def _checked(self, asked: Asked) -> tuple[Scenario, float]:
        settings = self.settings
        if self.draining:
            raise Refused(503, "draining", "no new leases at the moment: the operator is at work", retry_after=60)
        scenario = settings.catalogue.scenarios.get(asked.scenario)
        if scenario is None:
            names = ", ".join(settings.catalogue.scenarios)
            raise Refused(422, "scenario-unknown", f"there is no {asked.scenario!r}: there are {names}")
        most = min(settings.max_duration_minutes, scenario.max_minutes or 10**9) * 60
        seconds = min(most, settings.container_lifetime_hours * 3600) if asked.seconds is None else asked.seconds
        least = settings.min_duration_minutes * 60
        if not least <= seconds <= most:
            raise Refused(
                422,
                "duration-out-of-range",
                f"{views.span(seconds)} is out of range: {views.span(least)} to {views.span(most)}",
                leastMinutes=least / 60,
                mostMinutes=most / 60,
            )
        if (asked.exposure or scenario.exposure) == "vpn" and asked.token is None:
            raise Refused(
                422,
                "exposure-unavailable",
                "a lease that only the tunnel reaches needs the pass that owns it: say pass",
            )
        return scenario, seconds

    def _subnets(self, scenario: Scenario) -> int:
        return self.settings.catalogue.subnets.count if scenario.joined else 0

    async def _full(self, who: Caller, full: Full) -> Refused:
        first = await self._engine.store.next_end(who.username if full.user else None)
        wait = max(1.0, self._clock.left(first.expires)) if first else 5.0
        most = self.settings.max_per_user if full.user else self.settings.max_containers
        whose = "you have" if full.user else "the stack has"
        told = f"{whose} {most} leases, which is the most: the first ends in {views.span(wait)}"
        return Refused(429, "user-quota-full" if full.user else "quota-full", told, retry_after=wait)

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
        found, total = await self._engine.store.page(user, cursor, limit, views.phases(status, ended))
        shown = [await self._show(lease, resources=resources) for lease in found]
        kept = [one for one in shown if status is None or one.status == status]
        return ContainerPage(containers=kept, next=found[-1].id if len(found) == limit else None, total=total)

    async def of_user(self, who: Caller) -> ContainerInfo | None:
        """The one container of a user."""
        found = await self._engine.store.sole(who.username)
        return None if found is None else await self._show(found, resources=True, detailed=True)

    async def _show(self, lease: Lease, resources: bool, detailed: bool = False, quick: bool = False) -> ContainerInfo:
        live = lease.phase in alive and not quick
        parts = await self._observer.parts(lease.id, lease.images, detailed) if live else []
        used = await self._observer.resources(lease.id) if resources and lease.phase is Phase.ready else None
        return views.show(lease, parts, used, self.settings, self._clock)

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

        def change(lease: Lease) -> Lease:
            if key is not None and key in lease.extensions:
                return lease
            if lease.phase is not Phase.paused and self._clock.left(lease.expires) <= 0:
                raise Illegal(f"lease {lease.id} is over: its time cannot be extended")
            return extended(lease, seconds, self._longest_of(lease), self._clock.wall(), key)

        before, after = await self._change(identifier, change)
        if after is not before:
            self._engine.tell("extended", after, f"has {views.span(seconds)} more")
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

    def _longest_of(self, lease: Lease) -> float:
        scenario = self.settings.catalogue.scenarios.get(lease.scenario)
        most = scenario.max_minutes if scenario else None
        return min(self.settings.longest, most * 60 if most else self.settings.longest)

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
        url = f"{self.settings.url_of(lease.name)}/?berth_session={token}"
        return SessionMade(token=token, url=url, expires_at=views.moment(float(claims["exp"])))

    # ------------------------------------------------------------ streams

    async def owned_for_logs(self, who: Caller, identifier: str) -> Lease:
        """The lease whose logs the caller may read."""
        return await self._owned(who, identifier)

    async def log_page(self, who: Caller, identifier: str, after: str | None, limit: int) -> LogPage:
        """A page of what the lease wrote."""
        lease = await self._owned(who, identifier)
        return await self.logs.page(lease, after, limit)

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
            draining=self.draining,
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
        self.draining = drain
        self._pool.draining = drain
        self._log.warning("draining" if drain else "taking leases again", ending=end)
        if drain:
            await self._pool.empty()
        if end:
            for lease in await self._engine.store.all_live():
                await self._engine.end(lease.id, "drained")
        return await self.overview()


def _same(lease: Lease, fingerprint: str, key: str) -> Lease:
    if lease.fingerprint != fingerprint:
        raise Refused(
            422, "idempotency-mismatch", f"the key {key!r} was used for another request: take a new one", lease=lease.id
        )
    return lease
