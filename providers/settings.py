"""The stack settings that dynamic providers read too, and how every section is validated.

The program reads all of ``berth:*`` (``components/settings.py``); a provider gets the same namespaced
configuration through ``configure`` and reads the one section it needs with :func:`load_section`.  Nothing
here imports Pulumi.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from difflib import get_close_matches
from ipaddress import IPv4Address, IPv4Network
from typing import Annotated, Any, Final, Literal, NamedTuple, Self, TypeVar, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError, model_validator
from pydantic.alias_generators import to_camel

namespace: Final = "berth"

# The first account of the mnemonic that every development chain ships ("test test ... junk"): public
# knowledge, and therefore only ever the default of the local chain.
anvil_key: Final = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"


class SettingsError(Exception):
    """One or more settings cannot be used; the message names key, value and what is allowed for each."""


class Allowed(NamedTuple):
    """What a setting may be, in words that finish the sentence "it must be ..."."""

    text: str


# RFC 1918 and RFC 6598; what Python calls private holds loopback and reserved networks as well.
_private: Final = tuple(map(IPv4Network, ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")))


def _network(value: IPv4Network) -> IPv4Network:
    if not any(value.subnet_of(network) for network in _private):
        raise ValueError("not a private network")
    return value


def _host_address(value: str) -> str:
    return str(IPv4Address(value))


def _target(value: str) -> str:
    host, _, _ = value.rpartition("/")[0].partition(":")  # only tcp and udp have ports
    if host != "gateway":
        IPv4Network(host)
    return value


Port = Annotated[int, Field(ge=1, le=65535), Allowed("a port, a whole number from 1 to 65535")]
Subnet = Annotated[IPv4Network, AfterValidator(_network), Allowed("a private IPv4 network, for example 172.30.10.0/24")]
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
    if len(text) != 66 or not text.startswith("0x") or set(text[2:].lower()) - set("0123456789abcdef"):
        raise ValueError("not a private key")
    return value


class Section(BaseModel):
    """One object under ``berth:``; its keys are the fields' names in camel case, and there are no others."""

    model_config = ConfigDict(alias_generator=to_camel, extra="forbid", frozen=True, strict=True, validate_by_name=True)


class ChainSettings(Section):
    """``berth:chain``: the chain that holds the passes."""

    mode: Annotated[Literal["local", "external"], Allowed("local or external")] = "local"
    chain_id: Annotated[int, Field(ge=1, le=2**53 - 1), Allowed("a chain id, a whole number from 1")] = 31337
    rpc_port: Port = 8545
    rpc_url: Url = ""
    """As this machine reaches the chain."""
    node_rpc_url: Url = ""
    """As the containers reach the chain."""
    finality: Annotated[Literal["latest", "safe", "finalized"], Allowed("latest, safe or finalized")] = "latest"
    deployer_key: PrivateKey | None = None
    """Signs the deployment of the contracts; may be absent in a preview."""

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, given: Any) -> Any:
        """What follows from the mode: a local chain's URLs and its well-known key."""
        if not isinstance(given, dict):
            return given
        values = dict(given)
        if values.get("mode", "local") == "external":
            if "rpcUrl" in values:
                values.setdefault("nodeRpcUrl", values["rpcUrl"])
        else:
            values.setdefault("rpcUrl", f"http://127.0.0.1:{values.get('rpcPort', 8545)}")
            values.setdefault("nodeRpcUrl", "http://chain:8545")
            values.setdefault("deployerKey", anvil_key)
        return values

    @model_validator(mode="after")
    def _external_has_url(self) -> Self:
        if not self.rpc_url:
            raise ValueError("rpcUrl is missing: mode external needs the URL of a node of that chain")
        return self


class NodeSettings(Section):
    """One entry of ``berth:access.nodes``: a WireGuard node."""

    name: Label
    listen_port: Port = 51820
    """UDP port of WireGuard on this host."""
    control_port: Port = 18080
    """TCP port of the node's control API, published on 127.0.0.1 only."""
    bind: HostAddress = "127.0.0.1"
    """Where the WireGuard port is published."""
    endpoint: (
        Annotated[str, Field(pattern=r"^\S+:\d{1,5}$"), Allowed("host:port, as clients reach the node")] | None
    ) = None
    region: Label = "local"


class AccessSettings(Section):
    """``berth:access``: passes, tunnel and nodes."""

    pass_name: Annotated[str, Field(min_length=1, max_length=64), Allowed("1 to 64 characters")] = "berth pass"
    pass_symbol: Annotated[str, Field(pattern=r"^[A-Z0-9]{1,11}$"), Allowed("1 to 11 capital letters or digits")] = (
        "BERTH"
    )
    owner: Address | None = None
    """Who may mint passes; the deployer's account where absent."""
    delegates: Annotated[bool, Allowed("true or false")] = False
    quarantine_seconds: Annotated[
        int, Field(ge=0, le=31_536_000), Allowed("seconds, a whole number from 0 to 31536000")
    ] = 3600
    tunnel_subnet: Subnet = IPv4Network("10.77.0.0/16")
    nodes: Annotated[tuple[NodeSettings, ...], Allowed("a list of nodes")] = (NodeSettings(name="node-1"),)
    allow: tuple[Target, ...] = ("gateway:8081/tcp",)
    """What peers may reach; ``gateway`` stands for the gateway's address inside."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if not self.tunnel_subnet.prefixlen <= 24:
            raise ValueError(f"tunnelSubnet is {self.tunnel_subnet}: it must be /24 or larger to hold the peers")
        _distinct("nodes[].name", [node.name for node in self.nodes])
        _distinct("nodes[].listenPort", [node.listen_port for node in self.nodes])
        _distinct("nodes[].controlPort", [node.control_port for node in self.nodes])
        return self


def _distinct(what: str, values: list[Any]) -> None:
    twice = sorted({str(value) for value in values if values.count(value) > 1})
    if twice:
        raise ValueError(f"{what} has {', '.join(twice)} more than once: each must be different")


S = TypeVar("S", bound=Section)


def load_section(model: type[S], config: Mapping[str, str], key: str) -> S:
    """The section ``berth:<key>`` of a namespaced configuration, as ``pulumi`` and a provider's ``configure`` hold it.

    Errors: :class:`SettingsError` when it is not JSON, has an unknown key, or a wrong type or value.
    """
    name = f"{namespace}:{key}"
    raw = config.get(name, "{}")
    try:
        given = json.loads(raw)
    except json.JSONDecodeError as error:
        raise SettingsError(f"{name} is not an object: {error}") from error
    try:
        return model.model_validate_json(json.dumps(given))
    except ValidationError as error:
        raise SettingsError("\n".join(explain(error, model, name))) from error


def explain(error: ValidationError, model: type[BaseModel], prefix: str) -> list[str]:
    """One sentence per problem: the key's dotted path, its value, and what is allowed there."""
    lines: list[str] = []
    for problem in error.errors(include_url=False):
        names = [part for part in problem["loc"] if not _is_noise(part)]
        path = prefix + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in names)
        path = path.replace(":.", ":")
        annotation, keys = _walk(model, names)
        if problem["type"] == "extra_forbidden":
            close = get_close_matches(str(names[-1]), keys, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            lines.append(f"{path} is not a setting{hint}; allowed are: {', '.join(sorted(keys))}")
        elif problem["type"] == "missing":
            lines.append(f"{path} is missing: it must be {annotation or 'given'}")
        elif problem["type"] == "value_error" and isinstance(problem["input"], dict):
            # Two keys of one object that do not go together: the message says which.
            lines.append(f"{path}{'' if path.endswith(':') else ': '}{problem['msg'].removeprefix('Value error, ')}")
        else:
            lines.append(f"{path} is {_show(problem['input'], path)}: it must be {annotation or problem['msg']}")
    return lines


def _is_noise(part: int | str) -> bool:
    """Pydantic adds the tried type of a union or the validator's name to the path: no key is spelled so."""
    return isinstance(part, str) and not part.replace("_", "").replace("-", "").isalnum()


def _show(value: Any, path: str) -> str:
    if isinstance(value, SecretStr) or path.lower().endswith("key"):
        return "[secret]"
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def _walk(model: type[BaseModel], names: list[int | str]) -> tuple[str, list[str]]:
    """What is allowed at a path, and the keys that the object around its last name has."""
    current: Any = model
    allowed = ""
    keys = _keys(model)
    for name in names:
        if isinstance(name, int):
            current = _element(current) if current is not None else None
            allowed = _allowed(current) or allowed
            continue
        owner = _model(current)
        if owner is None:
            break
        keys = _keys(owner)
        field = next((f for n, f in owner.model_fields.items() if name in (f.alias, n)), None)
        if field is None:
            return "", keys
        current = field.annotation
        allowed = next((m.text for m in field.metadata if isinstance(m, Allowed)), "") or _allowed(current)
    owner = _model(current)
    if not allowed and owner is not None and names:
        allowed = f"an object with {', '.join(sorted(_keys(owner)))}"
    return allowed, keys


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model(part)) is not None), None)


def _element(annotation: Any) -> Any:
    return next((part for part in get_args(annotation) if part is not Ellipsis), None)


def _allowed(annotation: Any) -> str:
    """The first :class:`Allowed` of an annotation, looked for in optional types as well."""
    for part in getattr(annotation, "__metadata__", ()):
        if isinstance(part, Allowed):
            return part.text
    return next((text for part in get_args(annotation) if (text := _allowed(part))), "")
