"""One step of a lease towards what its phase says is wanted.

Every step may be interrupted anywhere and taken again: names are deterministic, a name that is taken is looked at and
adopted, what is there already is left as it is.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from berth.kit.logging import get_logger
from berth.leases.dock import Conflict, Dock, Missing
from berth.leases.engine import crash, spec
from berth.leases.engine.core import Engine
from berth.leases.errors import LeaseError, Permanent, Unknown
from berth.leases.model import Illegal, Lease, Phase
from berth.leases.names import lease_label, role_label
from berth.leases.scenario import Scenario, Template, main, told_folder
from berth.leases.store.leases import ended


@dataclass(frozen=True)
class Place:
    """Where leases of a stack live: the bridge to the gateways, the port they speak to, their domains, the grace."""

    network: str
    port: int
    domain: str
    vpn_domain: str
    stop_seconds: float


Farewell = Callable[[Lease, list[str]], Awaitable[None]]
"""What has to be done while the containers of a lease are still there; their addresses on the bridge."""


class Advance:
    """The engine's step."""

    def __init__(self, engine: Engine, dock: Dock, place: Place, farewell: Farewell) -> None:
        self._engine, self._dock, self._place, self._farewell = engine, dock, place, farewell
        self._log = get_logger("engine")
        self.outages: dict[str, float] = {}
        """Lease -> unix seconds: what of it stopped since then may have stopped with Docker, and starts again."""

    async def __call__(self, lease: Lease) -> bool:
        """False when nothing is left to do.  LeaseError where the step failed."""
        match lease.phase:
            case Phase.requested:
                crash.point("provision.creating")
                return await self._engine.step_to(lease, lease.to(Phase.creating)) is not None
            case Phase.creating:
                return await self._create(lease)
            case Phase.ready:
                return await self._keep(lease)
            case Phase.paused:
                return await self._hold(lease)
            case Phase.expiring:
                return await self._stop(lease)
            case Phase.deleting:
                return await self._remove(lease)
            case Phase.gone:
                return False

    # ------------------------------------------------------------ making

    async def _create(self, lease: Lease) -> bool:
        scenario = self._engine.scenario_of(lease)
        if not (lease.warm and await self._claim(lease, scenario)):
            await self._make(lease, scenario)
        crash.point("provision.ready")
        ready = lease.to(Phase.ready, ready_at=self._engine.clock.wall(), failed=None)
        done = await self._engine.step_to(lease, ready)
        if done is not None:
            self._engine.tell("ready", done, "runs")
        return done is None

    async def _make(self, lease: Lease, scenario: Scenario) -> None:
        own = await self._network(lease, scenario) if scenario.joined else ""
        for role, name in self._engine.names.containers(lease).items():
            await self._container(lease, scenario, role, name, own)

    async def _network(self, lease: Lease, scenario: Scenario) -> str:
        name = self._engine.names.network(lease.name)
        if lease.subnet is None:
            raise Permanent(f"lease {lease.id} has no subnet")
        subnet = self._engine.catalogue.subnets.at(lease.subnet)
        labels = spec.labels(self._engine.names.owner, lease.id, "network", lease.hard, lease.user)
        body = spec.network(name, labels, str(subnet), str(subnet[1]), scenario.egress)
        # Docker checks names of networks without a lock: look first, a second of the same name may be possible.
        found = await self._dock.networks({"label": [f"{lease_label}={lease.id}"]})
        if not found:
            try:
                await self._dock.create_network(body)
            except Conflict:
                pass  # there by now
            except Permanent as error:
                if "overlap" not in str(error):
                    raise
                # Somebody else's network is in the way: another subnet, and the step anew.
                await self._engine.store.move(lease, self._engine.catalogue.subnets.count)
                raise Illegal(f"subnet {subnet} is in use on this machine") from error
        crash.point("provision.network")
        return name

    async def _container(self, lease: Lease, scenario: Scenario, role: str, name: str, own: str) -> None:
        template = scenario.containers[role]
        first = self._place.network if role == main else own
        aliases = (role,) if first == own else ()
        labels = spec.labels(self._engine.names.owner, lease.id, role, lease.hard, lease.user)
        told = scenario.told
        body = spec.body(template, labels, first, aliases, told, self._place.port, self.values(lease))
        running = await self._created(lease, template, name, body)
        crash.point("provision.created")
        if running:
            return
        if own and role == main:
            await self._dock.connect(own, name, [role])
        if told:
            await self._dock.put(name, told_folder, self._told(lease))
            crash.point("provision.told")
        await self._dock.start(name)
        crash.point("provision.started")

    async def _created(self, lease: Lease, template: Template, name: str, body: dict[str, Any]) -> bool:
        """Whether the container, which is there then, was running before."""
        try:
            await self._dock.create(name, body)
        except Missing:
            await self._dock.pull(template.image)
            await self._dock.create(name, body)
        except Conflict:
            found = await self._dock.inspect(name)
            if found["Config"]["Labels"].get(lease_label) != lease.id:
                raise Permanent(f"the name {name} is another container's") from None
            state = found["State"]
            if state["Status"] in ("removing", "dead"):
                raise Unknown(f"{name} is being removed") from None
            self._log.info("adopted", lease=lease.id, container=name, state=state["Status"])
            if state["Paused"]:
                await self._unpause(name)
            return bool(state["Running"])
        return False

    async def _claim(self, lease: Lease, scenario: Scenario) -> bool:
        """Takes the waiting container of the lease's id; False where it is not there (any more)."""
        name = self._engine.names.main(lease)
        try:
            await self._dock.rename(self._engine.names.pool(lease.id), name)
        except (Missing, Conflict, Permanent, Unknown):
            # Renamed before a restart, or gone: the name says which.
            try:
                found = await self._dock.inspect(name)
            except Missing:
                return False
            if found["Config"]["Labels"].get(lease_label) != lease.id:
                return False
        crash.point("claim.renamed")
        if scenario.told:
            await self._dock.put(name, told_folder, self._told(lease))
        await self._unpause(name)
        crash.point("claim.running")
        return True

    async def _unpause(self, name: str) -> None:
        try:
            await self._dock.unpause(name)
        except LeaseError:
            # Docker refuses what is not paused in more than one way.
            state = (await self._dock.inspect(name))["State"]
            if state["Paused"]:
                raise
            if not state["Running"]:
                await self._dock.start(name)

    def values(self, lease: Lease) -> dict[str, str]:
        """What the environment of a lease may name."""
        return {
            "lease": lease.id,
            "name": lease.name,
            "user": lease.user,
            "host": f"{lease.name}.{self._place.vpn_domain if lease.exposure == 'vpn' else self._place.domain}",
            "tokens": str(lease.tokens or 0),
        }

    def _told(self, lease: Lease) -> bytes:
        return spec.told({
            **self.values(lease),
            "tokens": lease.tokens or 0,
            "scenario": lease.scenario,
            "expiresAt": int(lease.expires.at),
            "hardLimitAt": int(lease.hard),
            "port": self._place.port,
        })  # fmt: skip

    # ------------------------------------------------------------ keeping

    async def _found(self, lease: Lease) -> dict[str, dict[str, Any]]:
        """Role -> container, as Docker lists it."""
        listed = await self._dock.containers(self._engine.names.owned(lease.id))
        return {one["Labels"].get(role_label, main): one for one in listed}

    async def _keep(self, lease: Lease) -> bool:
        """Running, all of it; what ended by itself stays as it is, for its holder to see."""
        scenario, found = self._engine.scenario_of(lease), await self._found(lease)
        for role, one in found.items():
            if one["State"] == "paused":
                await self._unpause(one["Id"])
            elif one["State"] == "created" or await self._was_outage(lease, one):
                await self._dock.start(one["Id"])
                self._engine.tell("restarted", lease, f"{role} was started again")
        if missing := [role for role in scenario.containers if role not in found]:
            # Somebody removed it: the rest of the time is still the holder's.
            await self._make(lease, scenario)
            self._engine.tell("restarted", lease, f"{', '.join(missing)} was gone and is made anew")
        await self._well(lease)
        return False

    async def _was_outage(self, lease: Lease, one: dict[str, Any]) -> bool:
        since = self.outages.get(lease.id)
        if since is None or one["State"] != "exited":
            return False
        stopped = (await self._dock.inspect(one["Id"]))["State"]["FinishedAt"]
        at = datetime.fromisoformat(stopped[:19] + "+00:00").timestamp()
        return at >= since

    async def _hold(self, lease: Lease) -> bool:
        for role, one in (await self._found(lease)).items():
            again = await self._was_outage(lease, one)
            if again:
                await self._dock.start(one["Id"])
                self._engine.tell("restarted", lease, f"{role} was started again, to wait")
            if again or one["State"] == "running":
                with suppress(Conflict):  # paused by now, or just ended
                    await self._dock.pause(one["Id"])
        await self._well(lease)
        return False

    async def _well(self, lease: Lease) -> None:
        self.outages.pop(lease.id, None)
        if lease.failed is not None:
            await self._engine.step_to(lease, lease.changed(failed=None))

    # ------------------------------------------------------------ ending

    async def _stop(self, lease: Lease) -> bool:
        """Asks the processes to end, and gives them a moment."""
        crash.point("removal.expiring")
        try:
            async with asyncio.timeout(self._place.stop_seconds):
                running = [one["Id"] for one in (await self._found(lease)).values() if one["State"] == "running"]
                await asyncio.gather(*(self._ask(one) for one in running))
        except TimeoutError:
            pass
        except LeaseError as error:
            self._log.warning("a lease ends without being asked", lease=lease.id, reason=str(error))
        return await self._engine.step_to(lease, lease.to(Phase.deleting)) is not None

    async def _ask(self, container: str) -> None:
        with suppress(Missing, Conflict):  # ended by now
            await self._dock.signal(container, "SIGTERM")
            await self._dock.wait(container)

    async def _remove(self, lease: Lease) -> bool:
        crash.point("removal.deleting")
        mine = self._engine.names.owned(lease.id)
        listed = await self._dock.containers(mine)
        if listed:
            networks = [one["NetworkSettings"]["Networks"].get(self._place.network) or {} for one in listed]
            await self._farewell(lease, [n["IPAddress"] for n in networks if n.get("IPAddress")])
        await asyncio.gather(*(self._remove_one(one["Id"]) for one in listed))
        crash.point("removal.removed")
        for network in await self._dock.networks(mine) if self._may_have_network(lease) else ():
            await self._dock.remove_network(network["Id"])
        crash.point("removal.network")
        if left := await self._dock.containers(mine):
            raise Unknown(f"{len(left)} containers are still there")
        crash.point("removal.gone")
        done = await self._engine.step_to(lease, ended(lease, self._engine.clock.wall()))
        if done is not None:
            self._engine.tell("gone", done, "is gone")
        return done is None

    async def _remove_one(self, container: str) -> None:
        try:
            await self._dock.remove(container)
        except Conflict as error:
            raise Unknown(str(error)) from error  # "removal is already in progress"

    def _may_have_network(self, lease: Lease) -> bool:
        scenario = self._engine.catalogue.scenarios.get(lease.scenario)
        return scenario is None or scenario.joined
