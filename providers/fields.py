"""The kinds of values that settings have, each with the words that say what it may be."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import Annotated, Final, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr
from pydantic.alias_generators import to_camel


class SettingsError(Exception):
    """One or more settings cannot be used; the message names key, value and what is allowed for each."""


class Allowed(NamedTuple):
    """What a setting may be, in words that finish the sentence "it must be ..."."""

    text: str


# RFC 1918 and RFC 6598; what Python calls private holds loopback and reserved networks as well.
_private: Final = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))

_local6: Final = IPv6Network("fd00::/8")  # RFC 4193, the half that one chooses oneself
_order: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141  # of secp256k1


def _network(value: IPv4Network) -> IPv4Network:
    if not any(value.subnet_of(network) for network in _private):
        raise ValueError("not a private network")
    return value


def _network6(value: IPv6Network) -> IPv6Network:
    if not value.subnet_of(_local6) or not 64 <= value.prefixlen <= 112:
        raise ValueError("not a unique local network of /64 to /112")
    return value


def _ip(value: str) -> str:
    return str(ip_address(value))


def _host_address(value: str) -> str:
    return str(IPv4Address(value))


def _target(value: str) -> str:
    host, _, _ = value.rpartition("/")[0].partition(":")  # only tcp and udp have ports
    if host != "gateway":
        IPv4Network(host)
    return value


Port = Annotated[int, Field(ge=1, le=65535), Allowed("a port, a whole number from 1 to 65535")]
Subnet = Annotated[IPv4Network, AfterValidator(_network), Allowed("a private IPv4 network, for example 172.30.10.0/24")]
Subnet6 = Annotated[
    IPv6Network,
    AfterValidator(_network6),
    Allowed("a unique local IPv6 network of /64 to /112, for example fd77:62:65::/64"),
]
IpAddress = Annotated[str, AfterValidator(_ip), Allowed("an IPv4 or IPv6 address")]
HostAddress = Annotated[str, AfterValidator(_host_address), Allowed("an IPv4 address of this host")]
Target = Annotated[
    str,
    Field(pattern=r"^[a-z0-9./]+(:\d{1,5}/(tcp|udp)|/(tcp|udp|icmp|any))$"),
    AfterValidator(_target),
    Allowed("a target such as gateway:8081/tcp or 172.30.10.0/24/any"),
]
Address = Annotated[
    str, Field(pattern=r"^0x[0-9a-fA-F]{40}$"), Allowed("an account address: 0x and 40 hexadecimal digits")
]
Url = Annotated[str, Field(pattern=r"^https?://[^\s/]+\S*$"), Allowed("an http:// or https:// URL")]
WsUrl = Annotated[str, Field(pattern=r"^wss?://[^\s/]+\S*$"), Allowed("a ws:// or wss:// URL")]
# What NodeRegistry takes for an endpoint, because it ends in configuration files and on web pages.
HostPort = Annotated[
    str,
    Field(pattern=r"^[A-Za-z0-9._-]+:\d{1,5}$|^\[[0-9a-fA-F:]+\]:\d{1,5}$"),
    Allowed("host:port, as clients reach the node"),
]
Finality = Annotated[Literal["latest", "safe", "finalized"], Allowed("latest, safe or finalized")]
Label = Annotated[
    str,
    Field(pattern=r"^[a-z][a-z0-9-]{0,30}[a-z0-9]$"),
    Allowed("a name of 2 to 32 lower-case letters, digits and hyphens that starts with a letter"),
]
PrivateKey = Annotated[
    SecretStr,
    AfterValidator(lambda value: _private_key(value)),
    Allowed("a private key: 0x and 64 hexadecimal digits"),
]


def _private_key(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    digits = text[2:].lower()
    if len(text) != 66 or not text.startswith("0x") or set(digits) - set("0123456789abcdef"):
        raise ValueError("not a private key")
    if not 0 < int(digits, 16) < _order:
        raise ValueError("no account has this private key")
    return value


class Section(BaseModel):
    """One object under ``berth:``; its keys are the fields' names in camel case, and there are no others."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True, validate_by_name=True)
