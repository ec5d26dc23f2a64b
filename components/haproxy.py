"""The gateway's files: HAProxy's configuration, the pages, and the health document, from the list of parts.

Pure text in, text out; the templates are in ``images/gateway``.  Pages and the health document are HAProxy
log formats: ``%[...]`` in them is evaluated at each request.
"""

from __future__ import annotations

import html
import json
import re
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

_templates: Final = Path(__file__).parent.parent / "images" / "gateway"
_mark: Final = re.compile(r"<<(\w+)>>")

security_headers: Final = {
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Server:
    """Where a part is reached, and the words that HAProxy's ``server`` line needs besides."""

    name: str
    address: str
    options: str = ""


@dataclass(frozen=True)
class Part:
    """Something whose health the gateway watches: a backend whose servers are only checked, never routed to.

    ``each``: every server is a row of its own on the page.  A part that is ``required`` and has no server up
    makes ``/health`` fail.
    """

    key: str
    title: str
    about: str
    check: tuple[str, ...]
    servers: tuple[Server, ...]
    required: bool = True
    each: bool = False


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
        key="nodes",
        title="WireGuard node",
        about="Lets holders of a pass in.",
        check=("option httpchk", "http-check send meth GET uri /health ver HTTP/1.1 hdr Host node"),
        servers=tuple(Server(name, f"{name}:{port}") for name in names),
        each=True,
    )


def _hello() -> bytes:
    """The command ``hello`` as a MongoDB wire message (OP_MSG); it asks for no user."""
    fields = b"\x10hello\x00" + struct.pack("<i", 1) + b"\x02$db\x00" + struct.pack("<i", 6) + b"admin\x00"
    document = struct.pack("<i", 4 + len(fields) + 1) + fields + b"\x00"
    body = struct.pack("<i", 0) + b"\x00" + document
    return struct.pack("<iiii", 16 + len(body), 1, 0, 2013) + body


def render(parts: Sequence[Part], stack: str) -> dict[str, str]:
    """The gateway's files by name; with no part at all, only the gateway itself is shown."""
    pages = _templates / "pages"
    part_row = (pages / "part.html").read_text()
    rows = [row for part in parts for row in _rows(part)]
    name = {"stack": html.escape(stack)}
    listed = "".join(
        _fill(part_row, {"key": key, "up": up, "title": html.escape(title), "about": html.escape(about)})
        for key, up, title, about in rows
    )
    headers = "\n".join(
        f'    http-after-response set-header {key} "{value}"' for key, value in security_headers.items()
    )
    # Static files carry a Cache-Control of their own.
    headers += "\n    http-after-response set-header Cache-Control no-store unless { res.hdr(Cache-Control) -m found }"
    return {
        "haproxy.cfg": _fill(
            (_templates / "haproxy.cfg").read_text(),
            {"headers": headers, "states": _states(parts), "backends": "\n".join(map(_backend, parts)).rstrip()},
        ),
        "health.json": _health(parts),
        "status.html": _fill((pages / "status.html").read_text(), {**name, "parts": listed.rstrip("\n")}),
        "members.html": _fill((pages / "members.html").read_text(), name),
        **{file: (pages / file).read_text() for file in ("missing.html", "page.css", "page.js", "icon.svg")},
    }


def _fill(template: str, values: Mapping[str, str]) -> str:
    """The template with every mark replaced.  Errors: ``KeyError`` for a mark that has no value."""
    return _mark.sub(lambda match: values[match[1]], template)


def _rows(part: Part) -> list[tuple[str, str, str, str]]:
    if not part.each:
        return [(part.key, f"nbsrv({part.key})", part.title, part.about)]
    return [
        (server.name, f"srv_is_up({part.key}/{server.name})", f"{part.title} {server.name}", part.about)
        for server in part.servers
    ]


def _states(parts: Sequence[Part]) -> str:
    """ACLs of what is up, ``txn.ready``, ``txn.status``: ok, degraded (a part is down), failing (a needed one is)."""
    lines = [f"acl up_{part.key} nbsrv({part.key}) ge 1" for part in parts]
    lines += [f"acl all_{part.key} nbsrv({part.key}) ge {len(part.servers)}" for part in parts if part.each]
    lines += ["http-request set-var(txn.status) str(ok)", "http-request set-var(txn.ready) str(true)"]
    everything = [f"all_{part.key}" if part.each else f"up_{part.key}" for part in parts]
    needed = [f"up_{part.key}" for part in parts if part.required]
    if everything:
        lines.append(f"http-request set-var(txn.status) str(degraded) unless {' '.join(everything)}")
    if needed:
        lines.append(f"http-request set-var(txn.status) str(failing) unless {' '.join(needed)}")
        lines.append(f"http-request set-var(txn.ready) str(false) unless {' '.join(needed)}")
    return "\n".join(f"    {line}" for line in lines)


def _backend(part: Part) -> str:
    lines = [f"backend {part.key}", *(f"    {line}" for line in part.check)]
    lines += [f"    server {server.name} {server.address} {server.options}".rstrip() for server in part.servers]
    return "\n".join(lines) + "\n"


def _health(parts: Sequence[Part]) -> str:
    """The health document in the shape that every service of ours answers: status, live, ready, checks."""
    checks: list[str] = []
    for part in parts:
        count = f"%[nbsrv({part.key})] of {len(part.servers)} up"
        checks.append(_check(part.key, f"nbsrv({part.key})", part.required, count))
        if part.each:
            checks += [
                _check(server.name, f"srv_is_up({part.key}/{server.name})", False, part.title)
                for server in part.servers
            ]
    head = '{"status":"%[var(txn.status)]","live":true,"ready":%[var(txn.ready)],"checks":{'
    return head + ",".join(checks) + "}}\n"


def _check(name: str, up: str, required: bool, detail: str) -> str:
    return f'"{name}":{{"ok":%[{up},iif(true,false)],"required":{json.dumps(required)},"detail":{json.dumps(detail)}}}'
