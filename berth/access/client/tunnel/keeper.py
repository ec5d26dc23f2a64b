"""Keeps a tunnel through bridges going: a fresh list, and the peers of the interface where the bridge leads."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from berth.access.client.tunnel.bridges import Bridge, Source, ordered
from berth.access.client.tunnel.peers import Interface, NoInterface
from berth.access.client.tunnel.program import Program
from berth.chain.errors import ChainError
from berth.kit.client import ClientError

refresh_every: Final = 15.0  # seconds between two looks at the list

Say = Callable[[str], None]


@dataclass(frozen=True)
class Status:
    """How the tunnel is: ``rtt`` milliseconds of the TCP connection, ``waiting``: WireGuard has sent nothing yet.

    ``faults``: of each bridge that does not work, why.  ``peer``: the node that the interface speaks to, None where
    nobody may look.
    """

    node: str
    endpoint: str
    rtt: float | None
    sent: int
    received: int
    dropped: int
    failovers: int
    waiting: bool
    faults: Mapping[str, str]
    peer: str | None

    @property
    def carries(self) -> bool:
        """Whether a bridge is connected, and leads to the node that the interface speaks to."""
        return bool(self.endpoint) and not self.waiting and self.peer in (None, self.node)


def status_of(stats: Mapping[str, Any], peer: str | None = None) -> Status:
    """From what the program says."""
    active = stats.get("active") or {}
    open_now = stats.get("connections") or []
    rtts = [one["tcp"]["rtt"] for one in open_now if (one.get("tcp") or {}).get("rtt")]
    totals = stats["totals"]
    return Status(
        node=str(active.get("node", "")),
        endpoint=str(active.get("address", "")),
        rtt=min(rtts) if rtts else None,
        sent=int(totals["toTcp"]["bytes"]),
        received=int(totals["toUdp"]["bytes"]),
        dropped=sum(int(totals[way][what]) for way in ("toTcp", "toUdp") for what in ("dropped", "lost")),
        failovers=int(stats["failovers"]),
        waiting=not open_now,
        faults={one["address"]: one["fault"] for one in stats.get("endpoints") or [] if one.get("fault")},
        peer=peer,
    )


class Keeper:
    """Follows the program, and the list of bridges, for one configuration.

    ``node``: the one that is preferred.  ``interface``: whose peers are moved when another node's bridge is in use;
    without it only bridges of ``node`` are used, because those of others would lead nowhere.  ``listen``: where
    WireGuard finds the program.
    """

    def __init__(
        self, program: Program, source: Source, node: str, listen: str, interface: Interface | None, say: Say
    ) -> None:
        self._program, self._source, self._node, self._listen = program, source, node, listen
        self._interface, self._say = interface, say
        self._keys: dict[str, str] = {}
        self._peer: str | None = None
        self._complaint = ""
        self._source_fault = ""
        self._stop = threading.Event()
        self.learn(program.bridges)

    def start(self) -> None:
        """Begins to keep the list fresh, in a thread of its own."""
        threading.Thread(target=self._keep_fresh, name="bridges", daemon=True).start()

    def stop(self) -> None:
        self._stop.set()

    def step(self) -> Status:
        """Looks how the tunnel is and moves the interface's peers where that is needed.  Errors: Ended."""
        stats = self._program.stats()
        active = stats.get("active") or {}
        if self._interface is not None and active.get("node"):
            self._follow(str(active["node"]))
        return status_of(stats, self._peer)

    def refresh(self) -> bool:
        """Takes the list of this moment; whether it is another.  What cannot be asked leaves the last one."""
        try:
            found = self._source()
        except (ClientError, ChainError) as fault:
            if str(fault) != self._source_fault:
                self._say(f"the list of bridges cannot be read, so the last one stays: {fault}")
            self._source_fault = str(fault)
            return False
        self._source_fault = ""
        usable = choose(found, self._node, anywhere=self._interface is not None)
        if not usable:
            return False  # all of them ill: one that comes back is most likely one of those that are known
        self.learn(found)
        return self._program.use(usable)

    def _keep_fresh(self) -> None:
        while not self._stop.wait(refresh_every):
            self.refresh()

    def learn(self, bridges: Sequence[Bridge]) -> None:
        """Remembers whose key each node has, also of bridges that are not used."""
        self._keys.update({bridge.node: bridge.key for bridge in bridges if bridge.key})

    def _follow(self, node: str) -> None:
        assert self._interface is not None
        key = self._keys.get(node, "")
        names = {key: node for node, key in self._keys.items()}
        try:
            # Before it is moved, so that where that fails it is known whom it speaks to.
            self._peer = names.get(self._interface.holder(names) or "")
            if key and self._interface.move(key, list(names), self._listen):
                self._say(f"moved to {node}: {self._interface.name} shakes hands with it anew")
                self._peer = node
            self._complaint = ""
        except NoInterface:
            self._peer = None  # not up yet, or not any more
        except ClientError as fault:
            if str(fault) != self._complaint:
                self._say(f"{node} has the bridge in use, but the interface cannot be moved there: {fault}")
            self._complaint = str(fault)


def choose(bridges: Sequence[Bridge], node: str, anywhere: bool) -> list[Bridge]:
    """The bridges to use, preferred first: of other nodes only where the interface may be moved to them."""
    return [bridge for bridge in ordered(bridges, node) if anywhere or bridge.node == node]
