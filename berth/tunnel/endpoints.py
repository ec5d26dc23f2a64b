"""Where a client end may go: what the settings name, then what the nodes announce on the chain."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from berth.chain.endpoint import Endpoint
from berth.chain.errors import ChainError
from berth.chain.node_registry import Node, NodeRegistry
from berth.chain.quorum import Quorum
from berth.kit.logging import get_logger
from berth.tunnel.control import BridgeEndpoint, Control
from berth.tunnel.errors import TunnelError
from berth.tunnel.settings import BridgeSettings, is_endpoint, parts

_push_every: Final = 1.0  # seconds


class Registry(Protocol):
    """What is asked for nodes."""

    def nodes(self) -> tuple[Node, ...]: ...


def named(settings: BridgeSettings) -> tuple[BridgeEndpoint, ...]:
    """Those of TCP_FORWARD, in its order."""
    pairs = (part.rpartition("=") for part in parts(settings.tcp_forward))
    return tuple(BridgeEndpoint(address, node) for node, _, address in pairs)


def announced(nodes: Iterable[Node], preferred: Sequence[str] = ()) -> tuple[BridgeEndpoint, ...]:
    """The bridges of ``nodes``: those of the preferred nodes first, in that order, then by node id.

    A node announces what it likes, so what is no host:port is left out.
    """
    order = {node: place for place, node in enumerate(preferred)}
    ordered = sorted(nodes, key=lambda node: (order.get(node.id, len(order)), node.id))
    return tuple(
        BridgeEndpoint(address, node.id) for node in ordered for address in node.bridges if is_endpoint(address)
    )


def registry_of(settings: BridgeSettings) -> NodeRegistry | None:
    """The registry that the settings name."""
    if settings.node_registry is None:
        return None
    members = [Endpoint(url, settings.chain) for url in settings.rpc_endpoints]
    return NodeRegistry(Quorum(members, settings.quorum), settings.node_registry)


class EndpointList:
    """Keeps the program's list as it should be; :meth:`start` begins."""

    def __init__(
        self,
        control: Control,
        named: Sequence[BridgeEndpoint],
        registry: Registry | None,
        preferred: Sequence[str] = (),
        interval: float = 10.0,
    ) -> None:
        self._control, self._named, self._registry = control, tuple(named), registry
        self._preferred, self._interval = tuple(preferred), interval
        self._announced: tuple[BridgeEndpoint, ...] = ()
        self._fault: Exception | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="endpoints", daemon=True)
        self._log = get_logger("endpoints")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    @property
    def endpoints(self) -> tuple[BridgeEndpoint, ...]:
        """The list as it is now; nothing twice."""
        return tuple(dict.fromkeys((*self._named, *self._announced)))

    def check(self) -> str:
        """For health: how many there are; raises what keeps the registry from being read."""
        if self._fault is not None:
            raise self._fault
        return f"{len(self.endpoints)} endpoints"

    def look(self) -> None:
        """Read the registry, and tell the program."""
        if self._registry is not None:
            try:
                self._announced = announced(self._registry.nodes(), self._preferred)
            except ChainError as fault:
                # The last list stays: a chain that is down must not take the way out from anybody.
                if self._fault is None:
                    self._log.warning("the node registry cannot be read; the list stays", reason=str(fault))
                self._fault = fault
            else:
                self._fault = None
        self.push()

    def push(self) -> None:
        """Tell the program, which may be a new one that knows nothing yet."""
        try:
            self._control.endpoints(self.endpoints)
        except TunnelError as error:
            self._log.debug("the program could not be told", reason=str(error))

    def _run(self) -> None:
        due = 0.0
        while not self._stop.is_set():
            if time.monotonic() >= due:
                due = time.monotonic() + self._interval
                self.look()
            else:
                self.push()
            self._stop.wait(_push_every)
