"""Settings of the access API, from its environment; docs/node.md and .env.example do not list them, this does.

======================  ===========================================================================================
PORT                    where to listen (8080)
PUBLIC_URL, ORIGINS     where the page is served: the first origin, and further ones (comma)
GATEWAY_ADDRESS         whose X-Forwarded-For is believed: addresses or networks (comma)
CHAIN_ID, CHAIN_NAME    of the chain; NETWORK is the name where CHAIN_NAME is not set
RPC_URLS, QUORUM        JSON-RPC endpoints (comma; RPC_URL is taken too), and how many have to agree (1)
KEY_REGISTRY            address of the KeyRegistry, which names the collection
NODE_REGISTRY           address of the NodeRegistry
FROM_BLOCK, LOG_SPAN    first block with events of the contracts (0), blocks in one question (10000)
NODES                   JSON list of {id, url, probeUrl, bridges: [{endpoint, url}]}: where the HTTP of nodes, and of
                        the TCP bridges that they announce as `endpoint`, is inside
TUNNEL_SUBNET, TUNNEL_SUBNET6, DNS, MTU, ALLOWED_IPS   for clients' configurations (lists: comma)
RELAY_PRIVATE_KEY       the account that pays for transactions; from a file (RELAY_PRIVATE_KEY_FILE)
SESSION_KEY             32 or more random characters; from a file (SESSION_KEY_FILE)
SESSION_SECONDS         how long a session lasts (3600)
RELAY_PER_MINUTE, RELAY_TOTAL_PER_MINUTE   for each wallet and each pass (6), for all (60)
RELAY_PER_DAY           registrations, for each pass (100)
RELAY_MAX_GAS, RELAY_MAX_FEE_GWEI, RELAY_LOW_BALANCE   of one transaction (600000, 100); in coins (0.01)
REQUESTS_PER_MINUTE, SIGN_INS_PER_MINUTE   for each caller (240, 60)
======================  ===========================================================================================
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from typing import Annotated, Any, Final

from pydantic import AfterValidator, Field, SecretStr, model_validator

from berth.access.api.balance import coin
from berth.access.api.nodes import Watched
from berth.access.api.origins import Origins, is_loopback, normalize, twins
from berth.access.tunnel import Subnets, check_subnet6
from berth.chain.accounts import address_of
from berth.chain.errors import PermanentError
from berth.chain.hashing import normalize_address
from berth.kit.settings import ServiceSettings

_node_id: Final = re.compile(r"[A-Za-z0-9._-]{1,63}")


def _parts(text: str) -> list[str]:
    return [part.strip() for part in text.split(",") if part.strip()]


def _networks(text: str) -> str:
    for part in _parts(text):
        ip_network(part)
    return text


def _origin(text: str) -> str:
    found = normalize(text)
    if not found.startswith("https://") and not is_loopback(found):
        raise ValueError(
            "it needs TLS (https) anywhere but on localhost: browsers give keys and wallets to no other page"
        )
    return found


def _origins(text: str) -> str:
    return ",".join(_origin(part) for part in _parts(text))


def _addresses(text: str) -> str:
    for part in _parts(text):
        ip_address(part)
    return text


def _nodes(text: str) -> str:
    _watched(text)
    return text


def _watched(text: str) -> dict[str, Watched]:
    """The nodes by id; ValueError unless it is a list of {id, url, probeUrl, bridges}."""
    try:
        listed: Any = json.loads(text or "[]")
    except ValueError as error:
        raise ValueError(f"not JSON: {error}") from None
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise ValueError('a JSON list such as [{"id": "node-1", "url": "http://node-1:8080"}] is allowed')
    found: dict[str, Watched] = {}
    for one in listed:
        name, url = str(one.get("id", "")), str(one.get("url", ""))
        if not _node_id.fullmatch(name) or name in found:
            raise ValueError(
                f"the node id {name!r} is missing, there twice, or has other characters than letters and . - _"
            )
        found[name] = Watched(
            normalize(url), str(one.get("probeUrl") or f"/nodes/{name}/ping"), _bridges(name, one.get("bridges", []))
        )
    return found


def _bridges(node: str, listed: Any) -> dict[str, str]:
    if not isinstance(listed, list) or not all(isinstance(one, Mapping) for one in listed):
        raise ValueError(f"bridges of {node} is not a list of {{endpoint, url}}")
    found: dict[str, str] = {}
    for one in listed:
        endpoint, url = str(one.get("endpoint", "")), str(one.get("url", ""))
        if not endpoint or endpoint in found:
            raise ValueError(f"a bridge of {node} has no endpoint, or one that another has: {endpoint!r}")
        found[endpoint] = normalize(url)
    return found


def _relay_key(key: SecretStr) -> SecretStr:
    try:
        address_of(key.get_secret_value())
    except PermanentError as error:
        raise ValueError(str(error)) from None
    return key


Positive = Annotated[int, Field(ge=1, le=10**9)]
NetworkList = Annotated[str, AfterValidator(_networks)]
Address = Annotated[str, AfterValidator(normalize_address)]


class ApiSettings(ServiceSettings):
    """See the module's table."""

    port: Annotated[int, Field(ge=1, le=65535)] = 8080
    public_url: Annotated[str, AfterValidator(_origin)] = "http://localhost"
    origins: Annotated[str, AfterValidator(_origins)] = ""
    gateway_address: NetworkList = ""
    chain_id: Annotated[int, Field(ge=1)]
    chain_name: str = ""
    network: str = ""
    rpc_url: str = ""
    rpc_urls: str = ""
    quorum: Positive = 1
    key_registry: Address
    node_registry: Address
    from_block: Annotated[int, Field(ge=0)] = 0
    log_span: Positive = 10_000
    nodes: Annotated[str, AfterValidator(_nodes)] = ""
    tunnel_subnet: IPv4Network = IPv4Network("10.77.0.0/16")
    tunnel_subnet6: str = ""
    dns: Annotated[str, AfterValidator(_addresses)] = ""
    mtu: Annotated[int, Field(ge=1280, le=9000)] = 1420
    allowed_ips: NetworkList = ""
    relay_private_key: Annotated[SecretStr, AfterValidator(_relay_key)]
    session_key: Annotated[SecretStr, Field(min_length=32)]
    session_seconds: Annotated[int, Field(ge=60, le=86_400)] = 3600
    relay_per_minute: Positive = 6
    relay_total_per_minute: Positive = 60
    relay_per_day: Positive = 100
    relay_max_gas: Positive = 600_000
    relay_max_fee_gwei: Annotated[Decimal, Field(gt=0)] = Decimal(100)
    relay_low_balance: Annotated[Decimal, Field(ge=0)] = Decimal("0.01")
    requests_per_minute: Positive = 240
    sign_ins_per_minute: Positive = 60

    @model_validator(mode="after")
    def _whole(self) -> ApiSettings:
        if not self.endpoints:
            raise ValueError("RPC_URLS is not set (nor RPC_URL)")
        if self.quorum > len(self.endpoints):
            raise ValueError(f"QUORUM is {self.quorum}, but RPC_URLS has {len(self.endpoints)}")
        if self.tunnel_subnet6:
            try:
                check_subnet6(self.tunnel_subnet, IPv6Network(self.tunnel_subnet6))
            except ValueError as error:
                raise ValueError(f"TUNNEL_SUBNET6: {error}") from None
        return self

    @cached_property
    def endpoints(self) -> list[str]:
        return _parts(self.rpc_urls) or _parts(self.rpc_url)

    @cached_property
    def served_at(self) -> Origins:
        named = [self.public_url, *_parts(self.origins)]
        return Origins(self.public_url, frozenset(twin for one in named for twin in twins(one)))

    @cached_property
    def proxies(self) -> tuple[IPv4Network | IPv6Network, ...]:
        return tuple(ip_network(part) for part in _parts(self.gateway_address))

    @cached_property
    def watched(self) -> dict[str, Watched]:
        return _watched(self.nodes)

    @cached_property
    def tunnel(self) -> Subnets:
        return Subnets(self.tunnel_subnet, IPv6Network(self.tunnel_subnet6) if self.tunnel_subnet6 else None)

    @property
    def low_balance(self) -> int:
        """In wei."""
        return int(self.relay_low_balance * coin)

    @property
    def max_fee(self) -> int:
        """In wei for each gas."""
        return int(self.relay_max_fee_gwei * 10**9)

    def shown(self) -> dict[str, Any]:
        """What clients need for their configuration files."""
        return {
            "chainId": self.chain_id,
            "chainName": self.chain_name or self.network or f"chain {self.chain_id}",
            "keyRegistry": self.key_registry,
            "mtu": self.mtu,
            "dns": _parts(self.dns),
            "allowedIps": _parts(self.allowed_ips) or self._everything_inside(),
            "tunnelSubnet": str(self.tunnel_subnet),
            "tunnelSubnet6": self.tunnel_subnet6 or None,
        }

    def _everything_inside(self) -> list[str]:
        return [str(self.tunnel_subnet), *([self.tunnel_subnet6] if self.tunnel_subnet6 else [])]
