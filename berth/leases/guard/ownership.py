"""Whose a container or a network is: asked of the daemon once, and from then on by id.

A name may mean another container a moment later, so that a name is resolved to an id and its labels read in the
same answer, and only the id is passed on.  Labels and ids never change, so that what is known of an id stays known.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from typing import Any, Final

from berth.leases.guard.errors import DockerAway, Refused
from berth.leases.guard.policy import GuardPolicy
from berth.leases.guard.upstream import Upstream

_id: Final = re.compile(r"[0-9a-f]{64}")
_remembered: Final = 4096


class Ownership:
    """Answers by asking ``upstream``."""

    def __init__(self, policy: GuardPolicy, upstream: Upstream) -> None:
        self._policy, self._upstream = policy, upstream
        self._containers: OrderedDict[str, None] = OrderedDict()

    async def container(self, reference: str) -> str:
        """The id.  Errors: :class:`Refused`: 404 when there is none, 403 when it is not of a lease of this stack."""
        if _id.fullmatch(reference) and reference in self._containers:
            return reference
        shown = await self._show("containers", f"/containers/{reference}/json", reference)
        if not self._policy.owns((shown.get("Config") or {}).get("Labels")):
            raise Refused("owner", f"the container {reference} is of no lease of this stack")
        found = str(shown["Id"])
        self._containers[found] = None
        if len(self._containers) > _remembered:
            self._containers.popitem(last=False)
        return found

    async def network(self, reference: str) -> tuple[str, bool]:
        """The id, and whether it is the bridge that leases share.  Errors: as :meth:`container`."""
        shown = await self._show("networks", f"/networks/{reference}", reference)
        labels = shown.get("Labels")
        # By name, which no lease's network can have, and with our label, which nobody else's has.
        ours = isinstance(labels, dict) and labels.get("berth.stack") == self._policy.stack
        shared = ours and shown.get("Name") == self._policy.network
        if not shared and not self._policy.owns(labels):
            raise Refused("owner", f"the network {reference} is of no lease of this stack")
        return str(shown["Id"]), shared

    async def _show(self, kind: str, target: str, reference: str) -> dict[str, Any]:
        status, shown = await self._upstream.json("GET", target)
        if status == 404:
            raise Refused("owner", f"No such {kind[:-1]}: {reference}", 404)
        if status != 200 or not isinstance(shown, dict):
            raise DockerAway(f"it answered {status}")
        if not _id.fullmatch(str(shown.get("Id"))):
            raise DockerAway("its answer has no id")
        return shown
