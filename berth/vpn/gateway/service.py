"""Puts a node's gateway together from its settings, and runs it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack
from ipaddress import ip_address
from typing import Final

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from berth.kit import logging, metrics, serve
from berth.kit.health import Check, Health
from berth.kit.serve import make_app
from berth.vpn.gateway.closer import Closer
from berth.vpn.gateway.errors import GatewayError
from berth.vpn.gateway.node import Node
from berth.vpn.gateway.proxy import Proxy
from berth.vpn.gateway.settings import GatewaySettings

_look: Final = 0.25  # seconds: how often HAProxy is looked at while the node says nothing
_again: Final = 0.5  # seconds until the node is asked again
_join: Final = 8.0


class Door:
    """In a thread of its own: connects to the node, runs HAProxy with what it says, and begins anew where that ends."""

    def __init__(self, settings: GatewaySettings) -> None:
        self._settings = settings
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="door", daemon=True)
        self._proxy: Proxy | None = None
        self._fault = "the node has not been asked yet"
        self._node = ""
        self._ended = 0
        self.starts = 0
        """How often HAProxy was started."""
        self._log = logging.get_logger("door")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Lets open requests end, and waits for it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_join)

    def check(self) -> str:
        """For health: whose gateway it is; GatewayError while it is nobody's."""
        proxy = self._proxy
        if proxy is None:
            raise GatewayError(self._fault)
        return f"{self._node}, {len(proxy)} addresses"

    def close_to(self, address: str) -> int:
        """Ends what is open to a lease; how many there were."""
        # One that is being ended closes everything by itself.
        proxy = self._proxy
        return proxy.runtime.close_to(address) if proxy is not None else 0

    @property
    def owned(self) -> int:
        """Addresses that somebody has."""
        return len(self._proxy) if self._proxy is not None else 0

    @property
    def ended(self) -> int:
        """Sessions that were ended because their address is another's now."""
        return self._ended + (self._proxy.closed if self._proxy is not None else 0)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._serve()
            except (GatewayError, OSError) as fault:
                if str(fault) != self._fault:
                    self._log.warning("not serving", reason=str(fault))
                self._fault = str(fault)
            self._stop.wait(_again)

    def _serve(self) -> None:
        settings = self._settings
        with Node(settings.node_socket) as node:
            owners = node.all()
            names = (f"LISTENER{ip_address(address).version}" for address in node.hello.addresses)
            listeners = dict(zip(names, node.listeners, strict=True))
            with Proxy(settings.proxy_config, settings.run_dir, listeners, owners) as proxy:
                node.ready()
                self._node, self._proxy = node.hello.node, proxy
                self.starts += 1
                self._fault = ""
                self._log.info("serving", node=self._node, sockets=node.hello.addresses, addresses=len(proxy))
                try:
                    while not self._stop.is_set():
                        proxy.change(node.changed(_look))
                        proxy.check()
                finally:
                    self._proxy = None
                    self._ended += proxy.closed


class _Counts(Collector):
    def __init__(self, door: Door) -> None:
        self._door = door

    def collect(self) -> Iterator[Metric]:
        door = self._door
        yield GaugeMetricFamily("berth_gateway_addresses", "Tunnel addresses that a pass has.", door.owned)
        yield CounterMetricFamily("berth_gateway_starts", "How often HAProxy was started.", door.starts)
        yield CounterMetricFamily("berth_gateway_ended_sessions", "Sessions ended with their pass.", door.ended)


def serve_gateway(settings: GatewaySettings) -> None:
    """Run a gateway until SIGTERM or SIGINT."""
    log = logging.get_logger("gateway")
    registry = metrics.registry()
    door = Door(settings)
    registry.register(_Counts(door))
    with ExitStack() as ending:
        # Leases are on the only network that this container has: it tells nothing there.
        listener = serve.listen(settings.port, "127.0.0.1")
        ending.callback(door.stop)
        door.start()
        if settings.close_socket is not None:
            closer = Closer(settings.close_socket, door.close_to)
            closer.start()
            ending.callback(closer.stop)
        log.info("gateway is up", port=settings.port)
        serve.run(make_app("berth node gateway", Health([Check("node", door.check)]), registry), [listener])
    log.info("gateway has stopped")
