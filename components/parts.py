"""The parts of a stack whose health the gateway watches, and how each is asked."""

from __future__ import annotations

import json
import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

access: Final = "access"
web: Final = "web"
nodes: Final = "nodes"
"""Keys of the parts that requests are routed to, and names of their backends."""


@dataclass(frozen=True)
class Server:
    """Where a part is reached, and the words that HAProxy's ``server`` line needs besides."""

    name: str
    address: str
    options: str = ""


@dataclass(frozen=True)
class Part:
    """Something whose health the gateway watches: a backend with active checks.

    ``each``: every server is a row of its own on the page.  A part that is ``required`` and has no server up
    makes ``/health`` fail.  ``lines`` stand in its backend besides: of those that requests are routed to.
    """

    key: str
    title: str
    about: str
    check: tuple[str, ...]
    servers: tuple[Server, ...]
    required: bool = True
    each: bool = False
    lines: tuple[str, ...] = ()


def chain_part(url: str, chain_id: int) -> Part:
    """The chain, asked for its id over JSON-RPC at ``url``; only the expected id is healthy."""
    parts = urlsplit(url)
    secure = parts.scheme == "https"
    host = parts.hostname or ""
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    question = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_chainId", "params": []}, separators=(",", ":"))
    options = (
        f"ssl verify required ca-file /etc/ssl/certs/ca-certificates.crt sni str({host}) check-sni {host}"
        if secure
        else ""
    )
    return Part(
        key="chain",
        title="Chain",
        about=f"Holds the passes: chain {chain_id}.",
        check=(
            "option httpchk",
            f"http-check send meth POST uri {path} ver HTTP/1.1 hdr Host {parts.netloc.rpartition('@')[2]} "
            f"hdr Content-Type application/json body '{question}'",
            f"""http-check expect rstring '"result": *"{chain_id:#x}"'""",
        ),
        servers=(Server("chain", f"{host}:{parts.port or (443 if secure else 80)}", options),),
    )


def mongodb_part(hosts: Sequence[str], port: int) -> Part:
    """The replica set: up while one of its members says that it is the primary."""
    primary = b"\x08isWritablePrimary\x00\x01"  # a BSON boolean that is true
    return Part(
        key="mongodb",
        title="MongoDB",
        about=f"Replica set rs0 of {len(hosts)}; up while it has a primary.",
        check=(
            "mode tcp",
            "option tcp-check",
            "tcp-check connect",
            f"tcp-check send-binary {_hello().hex()}",
            f"tcp-check expect binary {primary.hex()}",
        ),
        servers=tuple(Server(host, f"{host}:{port}") for host in hosts),
    )


def nodes_part(names: Sequence[str], port: int) -> Part:
    """The WireGuard nodes, each by its own /health; one that is up is enough."""
    return Part(
        key=nodes,
        title="WireGuard node",
        about="Lets holders of a pass in.",
        check=_health("node"),
        servers=tuple(Server(name, f"{name}:{port}") for name in names),
        each=True,
    )


def gateways_part(names: Sequence[str], port: int) -> Part:
    """The nodes' gateways, each as its node finds it: nobody else has a way to one."""
    return Part(
        key="gateways",
        title="Node gateway",
        about="Lets a pass's device reach what it leased.",
        check=_health("node", "/health/gateway"),
        servers=tuple(Server(f"{name}-gateway", f"{name}:{port}") for name in names),
        required=False,
        each=True,
    )


def bridges_part(names: Sequence[str], port: int) -> Part:
    """The TCP bridges, each by its own /health, which asks its node as well."""
    return Part(
        key="bridges",
        title="TCP bridge",
        about="Carries WireGuard where UDP is blocked.",
        check=_health("bridge"),
        servers=tuple(Server(name, f"{name}:{port}") for name in names),
        required=False,
        each=True,
    )


def access_part(port: int) -> Part:
    """The access API, behind ``/api/access/``."""
    return Part(
        key=access,
        title="Access API",
        about="Signs holders in and registers their keys.",
        check=_health("access"),
        servers=(Server(access, f"{access}:{port}"),),
        required=False,
        # The relay waits for a block.
        lines=_patient("The access API is not up; /health says what else is down."),
    )


def leases_part(port: int) -> Part:
    """The manager of leases, behind its API, its log sockets and its events."""
    return Part(
        key="leases",
        title="Leases",
        about="Makes containers for people and ends them.",
        check=_health("leases"),
        servers=(Server("leases", f"leases:{port}"),),
        required=False,
        # Events are silent now and then.
        lines=_patient("The manager of leases is not up; /health says what else is down."),
    )


def reaper_part(port: int) -> Part:
    """The reaper, which ends leases whatever becomes of the manager."""
    return Part(
        key="reaper",
        title="Reaper",
        about="Ends leases that nobody else has ended.",
        check=_health("reaper"),
        servers=(Server("reaper", f"reaper:{port}"),),
        required=False,
    )


def redis_part(port: int) -> Part:
    """Redis, which answers a ping of somebody without a password with a refusal."""
    return Part(
        key="redis",
        title="Redis",
        about="Carries events and logs of leases.",
        check=(
            "mode tcp",
            "option tcp-check",
            "tcp-check connect",
            "tcp-check send PING\\r\\n",
            "tcp-check expect rstring ^(-NOAUTH|\\+PONG)",
        ),
        servers=(Server("redis", f"redis:{port}"),),
        required=False,
    )


def web_part(port: int) -> Part:
    """The web page, which everything that has no other place leads to."""
    return Part(
        key=web,
        title="Web page",
        about="Where holders connect their devices.",
        check=_health("web"),
        servers=(Server(web, f"{web}:{port}"),),
        required=False,
        lines=tuple(
            f'http-error status {status} content-type "text/html; charset=utf-8" file /run/berth/away.html'
            for status in (502, 503, 504)
        ),
    )


def _health(host: str, path: str = "/health") -> tuple[str, ...]:
    """How one of berth's services is asked; HTTP/1.1 wants a name of it."""
    return ("option httpchk", f"http-check send meth GET uri {path} ver HTTP/1.1 hdr Host {host}")


def _patient(away: str) -> tuple[str, ...]:
    """Lines of an API that may be silent for long; while it is away, ``away`` is a problem's detail."""
    answer = problem(503, "Service unavailable", away)
    errors = (502, 503, 504)
    return (
        "timeout server 90s",
        *(f"http-error status {each} content-type application/problem+json string '{answer}'" for each in errors),
    )


def problem(status: int, title: str, detail: str) -> str:
    """A problem document (RFC 9457) on one line, without apostrophes: it stands between such in the configuration."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return json.dumps(document, separators=(",", ":"))


def _hello() -> bytes:
    """The command ``hello`` as a MongoDB wire message (OP_MSG); it asks for no user."""
    fields = b"\x10hello\x00" + struct.pack("<i", 1) + b"\x02$db\x00" + struct.pack("<i", 6) + b"admin\x00"
    document = struct.pack("<i", 4 + len(fields) + 1) + fields + b"\x00"
    body = struct.pack("<i", 0) + b"\x00" + document
    return struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body
