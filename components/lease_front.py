"""What the gateway's configuration says about leases: pure text, for every lease that there will be.

A lease is found by its host name, ``<name>.<domain>``, in Docker's DNS, at each request anew.  So its coming and going
changes nothing here.  Who may see it says a session that the manager signs and the gateway checks by itself: a JSON
web token that names the lease, until it ends or is revoked through the runtime socket.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from berth.leases.gateway import addresses_map, ready, revoked_map, sessions_map
from components.parts import problem

runtime_socket: Final = "/run/gateway/haproxy.sock"
cookie: Final = "berth_lease"
parameter: Final = "berth_session"
withheld: Final = (
    "http-request del-header Authorization",
    "http-request del-header Proxy-Authorization",
    "http-request del-header Cookie",
    "http-request del-header X-Berth- -m beg",
    # A lease sets no cookie for the gateway, or for leases beside it.
    "http-response del-header Set-Cookie",
    "http-response del-header Clear-Site-Data",
)
"""What of callers never reaches a lease, nor what of a lease its callers."""
silence: Final = "http-response set-log-level silent if { status lt 500 }"
"""Who visits which lease is nobody's concern here, and a line for each request costs more than the request."""
maps: Final = {
    revoked_map: "# Sessions and leases that are revoked, as long as HAProxy runs.\n",
    addresses_map: "# Where leases are, for a moment.\n",
    sessions_map: "# What sessions say whose signature is good: <container>/<id>/<end>.\n",
}
"""Files that HAProxy fills itself, as they are at its start."""
pages: Final = ("lease-missing.html", "lease-closed.html", "lease-away.html", "lease-busy.html")

manager: Final = "leases"
_backend: Final = "lease"
_held: Final = 200  # ms that an address is kept
_paths: Final = (
    "/api/users", "/api/provision", "/api/containers", "/api/scenarios", "/api/leases", "/api/events", "/docs",
    "/openapi.json", "/ws/logs/",
)  # fmt: skip
_page_policy: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'"


@dataclass(frozen=True)
class LeaseFront:
    """``stack``: of which leases these are; ``domain``: below which their names are; ``port``: where each listens;
    ``subnet``: of their bridge; ``open``: whether everybody may see them; ``per_minute``: requests that one address may
    send to them, and ``at_once`` have open; ``scheme``: how browsers come."""

    stack: str
    domain: str
    subnet: IPv4Network
    port: int = 8080
    open: bool = False
    per_minute: int = 6000
    at_once: int = 256
    scheme: str = "http"


def globals_of(front: LeaseFront | None) -> str:
    """Lines of the section ``global``: the socket over which the manager revokes sessions."""
    return "" if front is None else f"    stats socket {runtime_socket} mode 666 level admin"


def resolver(front: LeaseFront | None) -> str:
    """A resolver of leases' names."""
    return "" if front is None else docker_resolver()


def docker_resolver() -> str:
    """The section ``resolvers leases``: an address is kept for a moment only, it may be another lease's after that.

    (Without any hold, requests for one name that come at once wait for each other.)
    """
    holds = "\n".join(
        f"    hold {what} {f'{_held}ms' if what == 'valid' else '0s'}"
        for what in ("valid", "obsolete", "nx", "other", "refused", "timeout")
    )
    return (
        "resolvers leases\n    nameserver docker 127.0.0.11:53\n    resolve_retries 3\n"
        f"    timeout resolve 100ms\n    timeout retry 200ms\n{holds}\n"
    )


def detection(front: LeaseFront | None) -> str:
    """Early lines of the frontend: ``txn.lease`` is the name of the lease that is asked for."""
    if front is None:
        return ""
    domain = re.escape(front.domain)
    name = "[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?"
    lines = [
        f"acl lease_domain var(txn.host) -m end .{front.domain}",
        f"http-request set-var(txn.lease) var(txn.host),field(1,.) if {{ var(txn.host) -m reg ^{name}\\.{domain}$ }}",
        "acl lease var(txn.lease) -m found",
        f"acl to_leases path_beg {' '.join(_paths)}",
        # Before what callers say of themselves is taken away.
        "http-request set-var(txn.jwt) req.hdr(X-Berth-Session) if lease",
    ]
    return _indent(lines)


def passing(front: LeaseFront | None) -> str:
    """Lines of the frontend after which nothing of it concerns a lease any more."""
    if front is None:
        return ""
    return _indent([_refusal(404, "lease-missing.html", "if lease_domain !lease"), "http-request allow if lease"])


def routes(front: LeaseFront | None) -> str:
    """Where the frontend sends requests to leases and their manager."""
    if front is None:
        return ""
    return _indent([f"use_backend {_backend} if lease", f"use_backend {manager} if to_leases"])


def backends(front: LeaseFront | None) -> str:
    """The backend of all leases."""
    if front is None:
        return ""
    lines = [
        f"http-request set-var(txn.target) str(berth-{front.stack}-lease-),concat(,txn.lease)",
        "http-request track-sc0 src table lease-callers",
        *_refusals(429, "lease-busy.html", f"{{ sc_http_req_rate(0) gt {front.per_minute} }}", "Too many requests",
                   "This address asks too often: wait a minute.", "hdr Retry-After 60"),
        # One connection may carry many requests at once, and each has a connection of its own behind here.
        *_refusals(429, "lease-busy.html", f"{{ sc_conn_cur(0) gt {front.at_once} }}", "Too many requests",
                   "This address has too many requests open at once: end some.", "hdr Retry-After 5"),
        *_denials(front),
        *_resolution(front.subnet),
        *_refusals(404, "lease-missing.html", f"!{{ var(txn.address) -m ip {front.subnet} }}", "Not found",
                   "There is no lease of this name, or it has ended."),
        # Whose cookies and headers these are is the gateway's concern; a lease belongs to somebody else.
        *withheld,
        "http-request set-dst var(txn.address)",
        silence,
        "http-reuse always",
        "retries 1",
        "retry-on conn-failure",
        "timeout connect 2s",
        "timeout server 60s",
        *(f'http-error status {status} content-type "text/html; charset=utf-8" file /run/berth/lease-away.html '
          f'hdr Content-Security-Policy "{_page_policy}" hdr Cache-Control no-store'
          for status in (502, 503, 504)),
        f"server any 0.0.0.0:{front.port} init-addr none",
    ]  # fmt: skip
    callers = "backend lease-callers\n    stick-table type ipv6 size 100k expire 2m store http_req_rate(1m),conn_cur\n"
    return f"backend {_backend}\n{_indent(lines)}\n\n{callers}"


def _resolution(subnet: IPv4Network) -> list[str]:
    """``txn.address``: of the container ``txn.target``.

    Docker asks others for names that it does not know: what they say is no lease.
    HAProxy forgets an answer with the last request that asked for it, whatever its hold: hence a map.
    """
    return [
        f"http-request set-var(txn.held) var(txn.target),map_str({addresses_map})",
        "http-request set-var(txn.until) var(txn.held),field(2,/)",
        "http-request set-var(txn.past) date(0,ms),sub(txn.until)",
        "acl held var(txn.past) -m int lt 0",
        "http-request set-var(txn.address) var(txn.held),field(1,/) if held",
        "http-request do-resolve(txn.address,leases,ipv4) var(txn.target) if !held",
        f"http-request set-map({addresses_map}) %[var(txn.target)] %[var(txn.address)]/%[date({_held},ms)] "
        f"if !held {{ var(txn.address) -m ip {subnet} }}",
    ]


def _denials(front: LeaseFront) -> list[str]:
    """Takes a session from the address, a header or a cookie; one from the address becomes the cookie of that host."""
    claim = "var(txn.claims),json_query"
    # With that prefix, which needs https, a browser takes it from this host alone, and not from leases beside it.
    kept_as, secure = (f"__Host-{cookie}", "; Secure") if front.scheme == "https" else (cookie, "")
    lines = [
        f"http-request set-var(txn.given) url_param({parameter})",
        f"http-request set-var(txn.jwt) req.cook({kept_as}) if !{{ var(txn.jwt) -m found }}",
        "http-request set-var(txn.jwt) var(txn.given) if { var(txn.given) -m found }",
        # A signature that is good stays good: what such a session says is kept, by all of its text.
        f"http-request set-var(txn.kept) var(txn.jwt),map_str({sessions_map})",
        "acl kept var(txn.kept) -m found",
        # The secret stands in a file of its own, as a variable of HAProxy's.
        'acl signed var(txn.jwt),jwt_verify("HS256","${LEASE_SESSION_KEY}") eq 1',
        # Decoded once: a converter for each claim would do that anew.
        "http-request set-var(txn.claims) var(txn.jwt),field(2,.),ub64dec if !kept signed",
        *(
            f"http-request set-var(txn.{name}) {claim}('$.{name}'{kind}) if {{ var(txn.claims) -m found }}"
            for name, kind in (("aud", ""), ("jti", ""), ("exp", ",'int'"))
        ),
        *(
            f"http-request set-var(txn.{name}) var(txn.kept),field({at},/) if kept"
            for at, name in enumerate(("aud", "jti", "exp"), 1)
        ),
        "http-request set-var(txn.lid) var(txn.jti),field(1,.)",
        "http-request set-var(txn.now) date",
        "http-request set-var(txn.left) var(txn.exp),sub(txn.now)",
        "acl for_it var(txn.aud),strcmp(txn.target) eq 0",
        "acl fresh var(txn.left) -m int gt 0",
        f"acl revoked var(txn.jti),map_str({revoked_map}) -m found",
        f"acl revoked var(txn.lid),map_str({revoked_map}) -m found",
        f"acl known str({ready}),map_str({revoked_map}) -m found",
        "http-request set-var(txn.session) bool(true) if for_it fresh !revoked known",
        "acl session var(txn.session) -m bool",
    ]
    if not front.open:
        lines += [
            *_refusals(503, "lease-away.html", "!session !known", "Service unavailable",
                       "The gateway has just started and does not know yet which sessions are revoked.",
                       "hdr Retry-After 2"),
            *_refusals(401, "lease-closed.html", "!session", "Unauthorized",
                       "The session is missing, over, revoked, or of another lease than this one."),
        ]  # fmt: skip
    lines.append(
        f"http-request set-map({sessions_map}) %[var(txn.jwt)] %[var(txn.aud)]/%[var(txn.jti)]/%[var(txn.exp)] "
        "if session !kept"
    )
    # Out of the address, or it would be in the browser's history, and in what the lease's page sends on.
    out = f"""'regsub("([?&]){parameter}=[^&]*&?","\\1")','regsub("[?&]$","")'"""
    lines += [
        f"http-request set-var(txn.plain) pathq,{out} if {{ var(txn.given) -m found }}",
        "http-request return status 303 "
        f'hdr Location "{front.scheme}://%[req.hdr(host)]%[var(txn.plain)]" '
        f'hdr Set-Cookie "{kept_as}=%[var(txn.given)]; Path=/; HttpOnly; SameSite=Lax{secure}" '
        "hdr Cache-Control no-store hdr Referrer-Policy no-referrer "
        "if session { var(txn.given) -m found } { method GET HEAD }",
        # A program that gives it so with another method is no browser: the lease does not see it either.
        "http-request set-uri %[var(txn.plain)] if { var(txn.plain) -m found }",
    ]
    return lines


def _refusals(status: int, page: str, condition: str, title: str, detail: str, more: str = "") -> list[str]:
    """A page for people, a problem document for programs."""
    text = problem(status, title, detail)
    document = (
        f"http-request return status {status} {more} hdr Cache-Control no-store "
        f"content-type application/problem+json string '{text}' "
        f"if {condition} !{{ req.hdr(accept) -m sub text/html }}"
    )
    return [re.sub(" +", " ", document), _refusal(status, page, f"if {condition}", more)]


def _refusal(status: int, page: str, condition: str, more: str = "") -> str:
    text = (
        f'http-request return status {status} {more} hdr Content-Security-Policy "{_page_policy}" '
        f'hdr Cache-Control no-store hdr X-Content-Type-Options nosniff content-type "text/html; charset=utf-8" '
        f"file /run/berth/{page} {condition}"
    )
    return re.sub(" +", " ", text)


def _indent(lines: list[str]) -> str:
    return "\n".join(f"    {line}" for line in lines)
