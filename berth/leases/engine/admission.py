"""Asking for a lease: what is checked, which place it takes, and what the same question again is answered."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from hashlib import sha256

from starlette.concurrency import run_in_threadpool

from berth.chain.errors import ChainError
from berth.chain.hashing import zero_address
from berth.leases.clock import Clock
from berth.leases.engine.core import Engine
from berth.leases.engine.pool import Pool
from berth.leases.errors import Refused, Temporary
from berth.leases.holders import Holders
from berth.leases.model import Lease, Phase, alive, new_id, new_name, span
from berth.leases.scenario import Exposure, Scenario
from berth.leases.settings import ManagerSettings
from berth.leases.store.leases import Full, Taken
from berth.leases.store.users import Caller


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


class Admission:
    """Lets new leases in; ``draining``: none."""

    def __init__(
        self, settings: ManagerSettings, engine: Engine, pool: Pool, clock: Clock, holders: Holders | None
    ) -> None:
        self.settings, self._engine, self._pool, self._clock = settings, engine, pool, clock
        self._holders = holders
        self.draining = False

    async def admit(self, who: Caller, asked: Asked, key: str | None, sole: bool) -> tuple[Lease, bool]:
        """The lease that was asked for, at work, and whether it is new.  Refused, Temporary."""
        fingerprint = asked.fingerprint
        if key is not None and (before := await self._engine.store.of_key(who.username, key)) is not None:
            return _same(before, fingerprint, key), False
        scenario, seconds = self._checked(asked)
        wallet = await self._holder(who, asked, scenario)
        for _ in range(20):
            member = self._pool.take(asked.scenario)
            lease = replace(self._new(who, asked, scenario, seconds, key, sole, member), wallet=wallet)
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
                f"{span(seconds)} is out of range: {span(least)} to {span(most)}",
                leastMinutes=least / 60,
                mostMinutes=most / 60,
            )
        return scenario, seconds

    async def _holder(self, who: Caller, asked: Asked, scenario: Scenario) -> str | None:
        """The wallet that the lease stands and falls with; Refused where it does not hold the pass that is named."""
        if (asked.exposure or scenario.exposure) != "vpn":
            return who.wallet
        if asked.token is None:
            raise Refused(
                422,
                "exposure-unavailable",
                "a lease that only the tunnel reaches needs the pass that owns it: say pass",
            )
        if self._holders is None:
            # No tunnel would lead to it: the nodes' gateways go by pass and holder.
            raise Refused(422, "exposure-unavailable", "no chain is named here that says who holds a pass")
        try:
            holder = await run_in_threadpool(self._holders.holder_of, int(asked.token))
        except ChainError as error:
            told = "the chain cannot be asked who holds the pass: try again"
            raise Refused(503, "chain-unreachable", told, retry_after=5) from error
        if holder == zero_address or (self.settings.lease_access == "pass" and holder != who.wallet):
            raise Refused(403, "not-entitled", f"you do not hold pass {asked.token}")
        return holder

    def _subnets(self, scenario: Scenario) -> int:
        return self.settings.catalogue.subnets.count if scenario.joined else 0

    async def _full(self, who: Caller, full: Full) -> Refused:
        first = await self._engine.store.next_end(who.username if full.user else None)
        wait = max(1.0, self._clock.left(first.expires)) if first else 5.0
        most = self.settings.max_per_user if full.user else self.settings.max_containers
        whose = "you have" if full.user else "the stack has"
        told = f"{whose} {most} leases, which is the most: the first ends in {span(wait)}"
        return Refused(429, "user-quota-full" if full.user else "quota-full", told, retry_after=wait)


def _same(lease: Lease, fingerprint: str, key: str) -> Lease:
    if lease.fingerprint != fingerprint:
        raise Refused(
            422, "idempotency-mismatch", f"the key {key!r} was used for another request: take a new one", lease=lease.id
        )
    return lease
