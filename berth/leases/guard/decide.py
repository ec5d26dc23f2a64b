"""What is passed on of a call: decided from the table, the body, and whose the things named in it are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from berth.leases.guard import networks
from berth.leases.guard.archive import check_archive
from berth.leases.guard.containers import container
from berth.leases.guard.errors import Refused
from berth.leases.guard.ownership import Ownership
from berth.leases.guard.policy import GuardPolicy
from berth.leases.guard.routes import Call, Deed
from berth.leases.guard.strict import decode, encode

_with_body = frozenset({Deed.create, Deed.upload, Deed.network_create, Deed.network_join, Deed.network_leave})


@dataclass(frozen=True)
class Passed:
    """A call as the daemon gets it."""

    method: str
    target: str
    body: bytes | None = None
    kind: str = "application/json"
    upgrade: bool = False


class Decider:
    """Decides by ``policy`` and by what ``ownership`` finds out."""

    def __init__(self, policy: GuardPolicy, ownership: Ownership) -> None:
        self._policy, self._ownership = policy, ownership

    async def decide(self, call: Call, body: bytes) -> Passed:
        """Errors: :class:`Refused`."""
        deed, policy = call.route.deed, self._policy
        if body and deed not in _with_body and body.strip() not in (b"{}", b"null"):
            raise Refused("body", f"{call.method} {call.route.path} takes no body")
        match deed:
            case Deed.plain | Deed.listing:
                return Passed(call.method, call.target())
            case Deed.image:
                self._known_image(call.reference)
                return Passed(call.method, call.target(call.reference))
            case Deed.pull:
                name, tag = call.query.get("fromImage", ""), call.query.get("tag", "")
                self._known_image(f"{name}{'@' if ':' in tag else ':'}{tag}" if tag else name)
                return Passed(call.method, call.target())
            case Deed.create:
                return await self._create(call, body)
            case Deed.container:
                return Passed(call.method, call.target(await self._ownership.container(call.reference)))
            case Deed.rename:
                if not policy.container_name(call.query.get("name", "")):
                    raise Refused("query", f"a lease's container is named {policy.prefix}lease-<name> or the like")
                return Passed(call.method, call.target(await self._ownership.container(call.reference)))
            case Deed.attach:
                found = await self._ownership.container(call.reference)
                return Passed(call.method, call.target(found), upgrade=True)
            case Deed.upload:
                if "path" not in call.query:
                    raise Refused("query", "an archive needs the parameter path")
                check_archive(body)
                found = await self._ownership.container(call.reference)
                return Passed(call.method, call.target(found), body, "application/x-tar")
            case Deed.network:
                found, shared = await self._ownership.network(call.reference)
                if shared and call.method != "GET":
                    raise Refused("owner", f"{policy.network} is the stack's own")
                return Passed(call.method, call.target(found))
            case Deed.network_create:
                return Passed(call.method, call.target(), encode(networks.network(policy, decode(body))))
            case Deed.network_join:
                return await self._join(call, body)
            case Deed.network_leave:
                found, _ = await self._ownership.network(call.reference)
                who, force = networks.leaving(decode(body))
                left = {"Container": await self._ownership.container(_reference(who)), "Force": force}
                return Passed(call.method, call.target(found), encode(left))

    async def _create(self, call: Call, body: bytes) -> Passed:
        policy = self._policy
        if not policy.container_name(call.query.get("name", "")):
            raise Refused("query", f"a lease's container is named {policy.prefix}lease-<name> or the like")
        made = container(policy, decode(body))
        host = made["HostConfig"]
        if host["NetworkMode"] != "none":
            found, shared = await self._ownership.network(host["NetworkMode"])
            places = made.get("NetworkingConfig", {}).get("EndpointsConfig", {})
            place: dict[str, Any] = next(iter(places.values()), {})
            if shared and place.get("Aliases"):
                raise Refused("body", f"aliases on {policy.network} are not allowed, since all leases share it")
            # By id from here on: a name may come to mean another network.
            host["NetworkMode"] = found
            if places:
                made["NetworkingConfig"] = {"EndpointsConfig": {found: place}}
        return Passed(call.method, call.target(), encode(made))

    async def _join(self, call: Call, body: bytes) -> Passed:
        found, shared = await self._ownership.network(call.reference)
        who, place = networks.joining(self._policy, decode(body), shared)
        joined = {"Container": await self._ownership.container(_reference(who)), "EndpointConfig": place}
        return Passed(call.method, call.target(found), encode(joined))

    def _known_image(self, reference: str) -> None:
        if reference not in self._policy.images:
            raise Refused("owner", f"the image {reference[:200]} is not among those that the settings name")


def _reference(written: str) -> str:
    """An id or a name in a body goes into a path of the guard's own."""
    if not written.replace("_", "a").replace("-", "a").replace(".", "a").isalnum() or not written.isascii():
        raise Refused("body", "a container is named by its id or name")
    if written.startswith("."):
        raise Refused("body", "a container is named by its id or name")
    return written
