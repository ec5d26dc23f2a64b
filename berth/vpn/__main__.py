"""``python -m berth.vpn``: the WireGuard node."""

from __future__ import annotations

import os
import socket
import sys

from berth.chain.endpoint import Endpoint
from berth.kit import logging, metrics, serve
from berth.kit.health import Check, Health
from berth.kit.settings import SettingsError
from berth.vpn import api
from berth.vpn.agent import Agent
from berth.vpn.command import run
from berth.vpn.errors import VpnError
from berth.vpn.firewall import Firewall, Policy
from berth.vpn.interface import Interface
from berth.vpn.keys import ensure_keys, private_name
from berth.vpn.metrics import NodeMetrics
from berth.vpn.settings import NodeSettings
from berth.vpn.source import ChainSource, ChainWatch
from berth.vpn.store import Store
from berth.vpn.wireguard import WireGuard


class Ground:
    """Interface and firewall, in this order of safety: no peer before there are rules."""

    def __init__(self, interface: Interface, firewall: Firewall) -> None:
        self._interface, self._firewall = interface, firewall

    def ensure(self) -> None:
        self._firewall.ensure()
        self._interface.ensure()


def serve_node(settings: NodeSettings) -> None:
    """Run a node until SIGTERM or SIGINT."""
    log = logging.get_logger("node")
    settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    registry = metrics.registry()
    counts = NodeMetrics(registry)
    public_key = ensure_keys(settings.state_dir)
    interface = Interface(
        settings.interface,
        [f"{settings.address}/{settings.subnet.prefixlen}"],
        settings.listen_port,
        settings.mtu,
        settings.state_dir / private_name,
        public_key,
        run,
    )
    firewall = Firewall(
        Policy(
            settings.interface,
            settings.subnet,
            settings.address,
            settings.listen_port,
            settings.control_port,
            settings.targets,
            settings.sources,
        ),
        run,
    )
    agent = Agent(
        name=settings.node_id,
        public_key=public_key,
        port=settings.listen_port,
        registry=settings.key_registry,
        chain_id=settings.chain_id,
        node=Ground(interface, firewall),
        peers=WireGuard(settings.interface, run),
        source=ChainSource(Endpoint(settings.rpc_url, settings.chain_id), settings.key_registry, settings.subnet),
        store=Store(settings.state_dir),
        metrics=counts,
    )
    watch = ChainWatch(settings.rpc_url, settings.chain_id, counts)
    health = Health(
        [
            Check("interface", interface.check, live=True),
            Check("firewall", firewall.check),
            Check("list", agent.check, required=False),
            Check("chain", watch.check, required=False),
        ]
    )
    try:
        agent.start()
        watch.start()
        # The tunnel's interface gets no listener, so its clients find none even if the firewall were gone.
        devices = [name for _, name in socket.if_nameindex() if name != settings.interface]
        listeners = [serve.listen(settings.control_port, device=device) for device in devices]
        log.info(
            "node is serving", node=settings.node_id, public_key=public_key, port=settings.control_port, devices=devices
        )
        serve.run(api.build(agent, settings.control_token, health, counts, registry), listeners)
    finally:
        watch.stop()
        interface.remove()
        log.info("node has stopped")


def main() -> int:
    """The exit status: 2 for wrong settings, 1 for a node that cannot start."""
    serve.exit_on_signals()
    # Files that others write here (wireguard-go's socket) are nobody else's.
    os.umask(0o077)
    try:
        settings = NodeSettings.load("WireGuard node")
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logging.configure(f"node/{settings.node_id}", settings.log_level)
    try:
        serve_node(settings)
    except (VpnError, OSError) as error:
        logging.get_logger("node").error("node cannot start", reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
