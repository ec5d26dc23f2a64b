"""The configuration of a node's gateway, which answers peers with the leases of their own passes: pure text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Final

from components.lease_front import docker_resolver, withheld
from components.parts import problem

_template: Final = Path(__file__).parent.parent / "images" / "node-gateway" / "haproxy.cfg"
_mark: Final = re.compile(r"<<(\w+)>>")
_name: Final = "[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?"
_plain: Final = "hdr Cache-Control no-store content-type application/problem+json"


@dataclass(frozen=True)
class TunnelFront:
    """``domain``: below which leases that only the tunnel reaches have their names; ``subnet``: of the leases' bridge;
    ``port``: where each lease listens; ``ipv6``: whether the tunnel carries it."""

    stack: str
    domain: str
    subnet: IPv4Network
    port: int = 8080
    ipv6: bool = False


def render(front: TunnelFront) -> str:
    """HAProxy's configuration."""
    versions = (4, 6) if front.ipv6 else (4,)
    away = problem(503, "Service unavailable", "The lease is there and does not answer: it may be starting.")
    values = {
        "resolver": docker_resolver(),
        "binds": "\n".join(f'    bind "${{LISTENER{version}}}"' for version in versions),
        "host": f"^{_name}\\.{re.escape(front.domain)}$",
        "plain": _plain,
        "stranger": problem(403, "Forbidden", "No pass of the list of this node has this tunnel address."),
        "nameless": problem(404, "Not found", f"Leases have names such as name.{front.domain} here."),
        "missing": problem(404, "Not found", "Your pass has no lease of this name, or it has ended."),
        "prefix": f"berth-{front.stack}-vpn-",
        "subnet": str(front.subnet),
        "passing": "\n".join(f"    {line}" for line in _passing()),
        "away": "\n".join(
            f"    http-error status {status} content-type application/problem+json string '{away}'"
            for status in (502, 503, 504)
        ),
        "port": str(front.port),
    }
    return _mark.sub(lambda match: values[match[1]], _template.read_text())


def _passing() -> list[str]:
    """What of a request reaches a lease, and of its answer the caller: as at the public gateway."""
    return [
        *withheld,
        "http-request del-header X-Forwarded- -m beg",
        "http-request del-header Forwarded",
        "http-request set-header X-Forwarded-For %[src]",
        "http-request set-header X-Forwarded-Proto http",
        "http-request set-header X-Forwarded-Host %[req.hdr(host)]",
    ]
