"""Docker's events: what happens to containers is noticed when it happens, and a gap in them too."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from berth.kit.logging import get_logger
from berth.leases.dock import Dock
from berth.leases.engine.core import Engine
from berth.leases.engine.reconcile import Reconciler
from berth.leases.errors import LeaseError
from berth.leases.model import Phase
from berth.leases.names import lease_label, role_label
from berth.leases.store.seen import Seen

_settled: Final = frozenset({Phase.ready, Phase.paused})
_retry_seconds: Final = 0.5
_note_seconds: Final = 5.0
# A daemon that stops takes its containers with it before it lets go of who listens.
_before_it_was_lost: Final = 20.0
# Where the manager went with it, all of them did at about the same time.
_before_it_was_noted: Final = 6.0


class Watch:
    """One stream; whatever ends it, everything is looked at again."""

    def __init__(self, engine: Engine, dock: Dock, reconciler: Reconciler, seen: Seen) -> None:
        self._engine, self._dock, self._reconciler, self._seen = engine, dock, reconciler, seen
        self._log = get_logger("watch")
        self.connected = False

    async def run(self) -> None:
        """For ever."""
        if (seen := self._seen.read()) is not None:
            self._reconciler.outage_from = seen - _before_it_was_noted
        filters = {**self._engine.names.owned(), "type": ["container"]}
        while True:
            try:
                async for event in self._dock.events(filters):
                    if event:
                        self._see(event)
                    else:
                        self.connected = True
                        self._reconciler.ask()
            except LeaseError as error:
                if self.connected:
                    self._log.warning("Docker is out of sight", reason=str(error))
                    self._reconciler.outage_from = self._engine.clock.wall() - _before_it_was_lost
                self.connected = False
                self._reconciler.error = str(error)
            await asyncio.sleep(_retry_seconds)

    async def note(self) -> None:
        """For ever: keeps on disk when Docker was last seen."""
        while True:
            if self.connected:
                try:
                    await asyncio.to_thread(self._seen.write, self._engine.clock.wall())
                except OSError as error:
                    self._log.error("cannot note that Docker is there", reason=error.strerror)
            await asyncio.sleep(_note_seconds)

    def _see(self, event: dict[str, Any]) -> None:
        action = str(event.get("Action", ""))
        attributes = event["Actor"]["Attributes"]
        lease = self._engine.known.get(attributes.get(lease_label, ""))
        if lease is None or lease.phase not in _settled or self._engine.is_busy(lease.id):
            return  # its worker looks by itself
        role = attributes.get(role_label, "main")
        if action == "die":
            told = f"{role} ended with exit code {attributes.get('exitCode', '?')}"
            self._engine.tell("stopped", lease, told)
        elif action == "oom":
            self._engine.tell("stopped", lease, f"{role} used more memory than it may")
        elif action.startswith("health_status"):
            self._engine.tell("health", lease, f"{role} is {action.partition(': ')[2]}")
        elif action == "start" and lease.phase is Phase.ready:
            self._engine.tell("restarted", lease, f"{role} was started again")
        elif action in ("destroy", "pause", "unpause"):
            self._engine.kick(lease.id)
