"""The gateway's files: HAProxy's configuration, the pages, and the health document, from the list of parts.

Pure text in, text out; the templates are in ``images/gateway``.  Pages and the health document are HAProxy
log formats: ``%[...]`` in them is evaluated at each request.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from components import lease_front
from components.lease_front import LeaseFront
from components.parts import Part, nodes, problem

_templates: Final = Path(__file__).parent.parent / "images" / "gateway"
_mark: Final = re.compile(r"<<(\w+)>>")
_asset_kinds: Final = {
    "page.css": '"text/css; charset=utf-8"',
    "page.js": '"text/javascript; charset=utf-8"',
    "icon.svg": "image/svg+xml",
}
_texts: Final = ("detail", "title", "about")
_year: Final = 31_536_000  # seconds

security_headers: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}


@dataclass(frozen=True)
class Front:
    """How the gateway is reached.

    ``url``: what people open; ``tls``: whether it ends TLS itself; ``api_per_minute``: calls of the API that one
    address may make; ``connections``: how many one source may have at once; ``probe_urls``: what the page asks to
    measure the way to each node; ``proxy``: the address that a proxy before it has, if there is one; ``leases``: what
    it says about leases, where there are any.
    """

    url: str
    tls: bool = False
    api_per_minute: int = 300
    connections: int = 256
    probe_urls: tuple[str, ...] = ()
    proxy: str = ""
    leases: LeaseFront | None = None

    @property
    def scheme(self) -> str:
        return urlsplit(self.url).scheme

    def headers(self) -> dict[str, str]:
        """The headers of every answer."""
        own = self.url.rstrip("/")
        origins = {f"{where.scheme}://{where.netloc}" for where in map(urlsplit, self.probe_urls)} - {own}
        asked = ["'self'", *sorted(origins)]
        policy = (
            "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; font-src 'self'; "
            f"connect-src {' '.join(asked)}; base-uri 'none'; "
            "form-action 'none'; frame-ancestors 'none'"
        )
        headers = {"Content-Security-Policy": policy, **security_headers}
        if self.scheme == "https":
            headers["Strict-Transport-Security"] = f"max-age={_year}"
        return headers


def render(parts: Sequence[Part], stack: str, front: Front) -> dict[str, str]:
    """The gateway's files by name; a certificate comes from elsewhere."""
    pages = _templates / "pages"
    part_row = (pages / "part.html").read_text()
    rows = [row for part in parts for row in _rows(part)]
    name = {"stack": html.escape(stack)}
    listed = "".join(
        _fill(part_row, {"key": key, "up": up, "title": html.escape(title), "about": html.escape(about)})
        for key, up, title, about in rows
    )
    values = {
        "secure": _secure(front),
        "headers": _headers(front),
        "scheme": front.scheme,
        "proxied": _proxied(front),
        "states": _states(parts),
        "busy": problem(429, "Too many requests", "This address asks too often: wait a minute."),
        "many": problem(429, "Too many requests", "This address has too many requests open at once: end some."),
        "method": problem(405, "Method not allowed", "The API answers GET, HEAD, POST, PUT and DELETE."),
        "large": problem(413, "Too large", "The API takes no body of more than 12 KiB."),
        "nowhere": problem(404, "Not found", "There is no such API."),
        "rate": str(front.api_per_minute),
        "connections": str(front.connections),
        "but_proxy": f" !{{ src {front.proxy} }}" if front.proxy else "",
        "assets": _assets(),
        "probes": _probes(_nodes(parts)),
        "runtime": lease_front.globals_of(front.leases),
        "resolver": lease_front.resolver(front.leases),
        "leases": lease_front.detection(front.leases),
        # Who is asking, where nobody has to prove it, is said to the manager alone.
        "berth_headers": " if lease or !to_leases" if front.leases else "",
        "passing": lease_front.passing(front.leases),
        "known": " !to_leases" if front.leases else "",
        "routes": lease_front.routes(front.leases),
        "lease_backends": lease_front.backends(front.leases),
        "backends": "\n".join([*map(_backend, parts), *map(_ping, _nodes(parts))]).rstrip(),
    }
    texts = ("missing.html", "away.html", *_asset_kinds)
    leases: dict[str, str] = {}
    if front.leases:
        leases = {file: (pages / file).read_text() for file in lease_front.pages}
        leases |= {path.rpartition("/")[2]: text for path, text in lease_front.maps.items()}
    return {
        **leases,
        "haproxy.cfg": _fill((_templates / "haproxy.cfg").read_text(), values),
        "health.json": _health(parts),
        "status.html": _fill((pages / "status.html").read_text(), {**name, "parts": listed.rstrip("\n")}),
        "members.html": _fill((pages / "members.html").read_text(), name),
        **{file: (pages / file).read_text() for file in texts},
    }


def _fill(template: str, values: Mapping[str, str]) -> str:
    """The template with every mark replaced.  Errors: ``KeyError`` for a mark that has no value."""
    return _mark.sub(lambda match: values[match[1]], template)


def _secure(front: Front) -> str:
    """Where TLS comes in, and what becomes of those who come without."""
    if not front.tls:
        return ""
    # By the name of the settings: the one that the caller gives would let others send people anywhere.
    apart = " or lease_domain" if front.leases else ""
    to = front.url.rstrip("/")
    lines = [
        "bind :8443 ssl crt /run/berth/tls.pem alpn h2,http/1.1",
        f"http-request redirect prefix {to} code 308 unless {{ ssl_fc }} or {{ path /health }}{apart}",
    ]
    if front.leases:
        lines.append("http-request redirect scheme https code 308 if lease !{ ssl_fc }")
    return "\n".join(f"    {line}" for line in lines)


def _proxied(front: Front) -> str:
    """A proxy before the gateway says for whom it asks: by the last address, those before it are its callers' words."""
    if not front.proxy:
        return ""
    return f"    http-request set-src req.hdr(X-Forwarded-For,-1) if {{ src {front.proxy} }}"


def _headers(front: Front) -> str:
    lines = ["http-after-response del-header Server"]
    reference = ""
    if front.leases:
        # What a lease's page may do is its own matter; the reference of the leases' API has a policy of its own.
        lines.append("http-after-response allow if { var(txn.lease) -m found }")
        reference = " unless { var(txn.path) -m str /docs }"
    lines += [
        f'http-after-response set-header {key} "{value}"{reference if key == "Content-Security-Policy" else ""}'
        for key, value in front.headers().items()
    ]
    # Static files carry a Cache-Control of their own.
    lines.append("http-after-response set-header Cache-Control no-store unless { res.hdr(Cache-Control) -m found }")
    return "\n".join(f"    {line}" for line in lines)


def _assets() -> str:
    """What the gateway's own pages need, below ``/status/``: the rest belongs to the web page."""
    return "\n".join(
        f'    http-request return status 200 hdr Cache-Control "max-age=300" content-type {kind} '
        f"file /run/berth/{file} if {{ path /status/{file} }}"
        for file, kind in _asset_kinds.items()
    )


def _nodes(parts: Sequence[Part]) -> list[str]:
    return [server.name for part in parts if part.key == nodes for server in part.servers]


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
    lines = [f"backend {part.key}", *(f"    {line}" for line in (*part.check, *part.lines))]
    lines += [f"    server {server.name} {server.address} {server.options}".rstrip() for server in part.servers]
    return "\n".join(lines) + "\n"


def _probes(names: Sequence[str]) -> str:
    """``/nodes/<name>/ping`` to that node; of one that there is not, it is no page of the web page's."""
    known = f" !{{ path {' '.join(f'/nodes/{name}/ping' for name in names)} }}" if names else ""
    lines = [
        '    http-request return status 404 content-type "text/html; charset=utf-8" file /run/berth/missing.html '
        f"if {{ path_beg /nodes/ }} {{ path_end /ping }}{known}"
    ]
    return "\n".join([*lines, *(f"    use_backend ping-{name} if {{ path /nodes/{name}/ping }}" for name in names)])


def _ping(node: str) -> str:
    """What measures the way to a node: its own answer, and nothing else of it."""
    return (
        f"backend ping-{node}\n"
        "    http-request set-uri /ping\n"
        # Pages of other gateways measure the way here as well.
        '    http-response set-header Access-Control-Allow-Origin "*"\n'
        f"    server {node} {node}:8080 no-check track {nodes}/{node}\n"
    )


def _health(parts: Sequence[Part]) -> str:
    """The health document in the shape that every service of ours answers: status, live, ready, checks."""
    checks: list[str] = []
    for part in parts:
        count = f"%[nbsrv({part.key})] of {len(part.servers)} up"
        checks.append(_check(part.key, f"nbsrv({part.key})", part.required, count, part.title, part.about))
        if part.each:
            checks += [
                _check(
                    server.name,
                    f"srv_is_up({part.key}/{server.name})",
                    False,
                    part.title,
                    f"{part.title} {server.name}",
                    part.about,
                )
                for server in part.servers
            ]
    head = '{"status":"%[var(txn.status)]","live":true,"ready":%[var(txn.ready)],"checks":{'
    return head + ",".join(checks) + "}}\n"


def _check(name: str, up: str, required: bool, detail: str, title: str, about: str) -> str:
    texts = ",".join(f'"{key}":{json.dumps(text)}' for key, text in zip(_texts, (detail, title, about), strict=True))
    return f'"{name}":{{"ok":%[{up},iif(true,false)],"required":{json.dumps(required)},{texts}}}'
