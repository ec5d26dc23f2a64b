"""Whether the ports that a container is to publish are free, asked before anything is touched.

Docker itself finds out when the container starts; by then the one that it replaces is gone.
"""

from __future__ import annotations

import errno
import socket
from typing import Any

from engine.docker.client import Client
from engine.model import UNKNOWN, PropertyMap


def taken(client: Client, olds: PropertyMap, news: PropertyMap) -> list[str]:
    """The newly asked ``ip:port/protocol`` that something else on this host listens on.

    Empty for a daemon elsewhere.  What a container of that name holds is its own, whatever the state says.
    """
    asked = _published(news) - _published(olds)
    if not asked or not client.host.startswith("unix://"):
        return []
    there = client.find(f"/containers/{news['name']}/json") or {}
    for spelled, bindings in (there.get("HostConfig", {}).get("PortBindings") or {}).items():
        for binding in bindings or []:
            own = (binding.get("HostIp") or "0.0.0.0", int(binding["HostPort"] or 0), spelled.partition("/")[2])
            asked.discard(own)
    return [f"{ip}:{port}/{protocol}" for ip, port, protocol in sorted(asked) if _listened_on(ip, port, protocol)]


def _published(inputs: PropertyMap) -> set[tuple[str, int, str]]:
    ports: Any = inputs.get("ports")
    if ports is UNKNOWN or not ports:
        return set()
    return {
        (entry.get("ip") or "0.0.0.0", int(entry["external"]), entry.get("protocol") or "tcp")
        for entry in ports
        if entry is not UNKNOWN and UNKNOWN not in entry.values() and entry.get("external")
    }


def _listened_on(ip: str, port: int, protocol: str) -> bool:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    kind = socket.SOCK_DGRAM if protocol == "udp" else socket.SOCK_STREAM
    with socket.socket(family, kind) as probe:
        if kind is socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # connections that just ended do not count
        try:
            probe.bind((ip, port))
        except OSError as error:
            return error.errno == errno.EADDRINUSE  # any other reason is Docker's to tell
    return False
