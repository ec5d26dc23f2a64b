"""Which pages may ask, and whom a request is counted for."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from berth.access.api.errors import Refused
from berth.access.api.origins import Origins, caller, is_loopback, normalize, twins

ours = Origins("https://vpn.example", frozenset({"https://vpn.example", "http://localhost:8080"}))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("https://VPN.example", "https://vpn.example"),
        ("https://vpn.example:443/path?x", "https://vpn.example"),
        ("http://localhost:80", "http://localhost"),
        ("http://[::1]:8080", "http://[::1]:8080"),
    ],
)
def test_origins_have_one_spelling(text: str, found: str) -> None:
    assert normalize(text) == found


@pytest.mark.parametrize(
    "text", ["", "null", "vpn.example", "ftp://vpn.example", "https://", "https://a b", "https://u:p@vpn.example"]
)
def test_what_is_no_origin(text: str) -> None:
    with pytest.raises(ValueError):
        normalize(text)


@pytest.mark.parametrize(
    ("origin", "loopback"),
    [
        ("http://localhost:8080", True),
        ("http://127.0.0.1", True),
        ("http://[::1]:1", True),
        ("http://[::1]", True),
        ("http://berth.localhost", True),
        ("http://vpn.example", False),
        ("http://localhost.example", False),
        ("http://10.0.0.1:8080", False),
    ],
)
def test_only_this_machine_needs_no_tls(origin: str, loopback: bool) -> None:
    assert is_loopback(origin) is loopback


def test_this_machine_has_several_names() -> None:
    assert twins("http://localhost:81") == {"http://localhost:81", "http://127.0.0.1:81", "http://[::1]:81"}
    assert twins("http://127.0.0.1") == {"http://localhost", "http://127.0.0.1", "http://[::1]"}
    assert twins("https://vpn.example") == {"https://vpn.example"}


@pytest.mark.parametrize(
    ("header", "uri", "found"),
    [
        (None, None, "https://vpn.example"),
        ("https://vpn.example", None, "https://vpn.example"),
        ("http://localhost:8080", "http://localhost:8080/connect", "http://localhost:8080"),
        (None, "http://localhost:8080", "http://localhost:8080"),
    ],
)
def test_the_origin_of_a_request(header: str | None, uri: str | None, found: str) -> None:
    assert ours.of(header, uri) == found


@pytest.mark.parametrize(
    ("header", "uri"),
    [
        ("https://evil.example", None),
        ("null", None),
        ("https://vpn.example.evil", None),
        (None, "https://evil.example"),
        ("https://vpn.example", "http://localhost:8080"),
        ("http://vpn.example", None),
    ],
)
def test_other_origins(header: str | None, uri: str | None) -> None:
    with pytest.raises(Refused) as refused:
        ours.of(header, uri)
    assert (refused.value.reason, refused.value.status) == ("origin-refused", 403)


@pytest.mark.parametrize("header", [None, "", "http://localhost:8080", "https://evil.example"])
def test_a_cookie_counts_at_its_own_origin_alone(header: str | None) -> None:
    ours.require_same("https://vpn.example", "https://vpn.example")
    with pytest.raises(Refused):
        ours.require_same(header, "https://vpn.example")


proxies = (ip_network("172.30.10.2"), ip_network("fd00::/8"))


@pytest.mark.parametrize(
    ("peer", "forwarded", "found"),
    [
        ("198.51.100.1", None, "198.51.100.1"),
        ("198.51.100.1", "203.0.113.9", "198.51.100.1"),  # not a proxy of ours: not believed
        ("172.30.10.2", "203.0.113.9", "203.0.113.9"),
        ("172.30.10.2", "1.2.3.4, 203.0.113.9", "203.0.113.9"),  # what the caller wrote before it is not
        ("172.30.10.2", "nonsense", "unknown"),
        ("172.30.10.2", None, "172.30.10.2"),
        ("fd00::5", "2001:db8:1:2:3::4", "2001:db8:1:2::/64"),
        ("::ffff:198.51.100.1", None, "198.51.100.1"),
        ("testclient", None, "unknown"),
    ],
)
def test_whom_a_request_is_counted_for(peer: str, forwarded: str | None, found: str) -> None:
    assert caller(peer, forwarded, proxies) == found
