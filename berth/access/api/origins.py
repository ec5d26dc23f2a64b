"""Where the page is served, and who is calling.

A browser says from which page a request comes (``Origin``); only our own pages may.  The caller's address is the
connection's, unless the gateway forwards it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import IPv4Network, IPv6Network, ip_address
from typing import Final
from urllib.parse import urlsplit

from berth.access.api.errors import Refused

_ports: Final = {"http": 80, "https": 443}
_host: Final = re.compile(r"[a-z0-9.-]+|\[[0-9a-f:.]+\]")
_loopback: Final = ("localhost", "127.0.0.1", "[::1]")
_caller_prefix6: Final = 64  # one customer has so many IPv6 addresses


def normalize(text: str) -> str:
    """``scheme://host[:port]`` in lower case, without the scheme's own port; ValueError says what is wrong."""
    parts = urlsplit(text)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    if ":" in host:
        host = f"[{host}]"
    if scheme not in _ports or not _host.fullmatch(host) or parts.username or parts.password:
        raise ValueError(f"{text!r} is not an origin: scheme://host[:port] is, with http or https")
    port = parts.port
    return f"{scheme}://{host}" + (f":{port}" if port and port != _ports[scheme] else "")


def is_loopback(origin: str) -> bool:
    """Whether an origin is this machine's own, where browsers and wallets need no TLS."""
    host = origin.split("://", 1)[1]
    name = host if host.endswith("]") else host.rsplit(":", 1)[0] if ":" in host else host
    return name in _loopback or name.endswith(".localhost")


def twins(origin: str) -> set[str]:
    """An origin of this machine under its other names; any other origin alone."""
    if not is_loopback(origin):
        return {origin}
    scheme, rest = origin.split("://", 1)
    port = re.search(r":\d+$", rest)
    tail = port.group() if port and not rest.endswith("]") else ""
    return {origin, *(f"{scheme}://{name}{tail}" for name in _loopback)}


@dataclass(frozen=True)
class Origins:
    """``public`` comes first and is that of whoever names none (programs)."""

    public: str
    allowed: frozenset[str]

    def of(self, header: str | None, uri: str | None = None) -> str:
        """The origin of a request: its header's, else that of ``uri``, else the public one; Refused if not ours."""
        named = [text for text in (header, uri) if text]
        try:
            found = {normalize(text) for text in named} or {self.public}
        except ValueError as error:
            raise Refused(403, "origin-refused", str(error)) from None
        origin = found.pop()
        if found or origin not in self.allowed:
            raise Refused(
                403,
                "origin-refused",
                f"this service is not served at {origin}: open it at {self.public}",
                origin=origin,
            )
        return origin

    def require_same(self, header: str | None, origin: str) -> None:
        """Refused unless a browser's request comes from a page of ``origin``, where its cookie was given."""
        if not header:
            raise Refused(403, "origin-refused", "a request with the cookie must say its Origin, as browsers do")
        if self.of(header) != origin:
            raise Refused(403, "origin-refused", f"this session belongs to {origin}: sign in again here")


def caller(peer: str, forwarded: str | None, proxies: tuple[IPv4Network | IPv6Network, ...]) -> str:
    """Whom to count a request for: an IPv4 address, or the /64 of an IPv6 address.

    ``forwarded`` (X-Forwarded-For) is believed where ``peer`` is one of ``proxies``, and only its last entry, which
    that proxy itself added.
    """
    try:
        address = ip_address(peer)
        if forwarded and any(address in network for network in proxies):
            address = ip_address(forwarded.rsplit(",", 1)[-1].strip())
    except ValueError:
        return "unknown"
    mapped = getattr(address, "ipv4_mapped", None)
    if mapped is not None:
        return str(mapped)
    return str(address) if address.version == 4 else str(IPv6Network((int(address), _caller_prefix6), strict=False))
