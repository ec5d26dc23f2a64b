"""A secret that the stack makes for itself once and keeps, encrypted, in its state."""

from __future__ import annotations

import base64
import secrets
from typing import Any, Final, Literal

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

Kind = Literal["token", "keyfile", "account"]

_makers: Final = {
    # 256 bits, in an alphabet that needs no escaping in URIs, headers or shells.
    "token": lambda: secrets.token_hex(32),
    # What mongod accepts as a key file: 6 to 1024 base64 characters.
    "keyfile": lambda: base64.b64encode(secrets.token_bytes(756)).decode(),
    # Any number from 1 below the order of secp256k1, which starts with 31 set bits.
    "account": lambda: f"0x{1 + secrets.randbelow(2**255):064x}",
}


class GeneratedSecretProvider(ResourceProvider):
    """Makes the value on create; afterwards the state is the only place that holds it."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        kind = props["kind"]
        return CreateResult(id_=f"{kind}-{secrets.token_hex(8)}", outs={"kind": kind, "value": _makers[kind]()})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        replaces = [key for key in ("kind",) if _olds.get(key) != _news.get(key)]
        return DiffResult(changes=bool(replaces), replaces=replaces)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        return ReadResult(id_, props, {"kind": props["kind"]} if "kind" in props else None)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        # Reached when only bookkeeping changed (the provider's own pickle): the value must survive that.
        return UpdateResult({"kind": _news["kind"], "value": _olds["value"]})


class GeneratedSecret(Resource, module="berth", name="GeneratedSecret"):
    """A random value of one kind; ``value`` is a secret output.

    Kinds: ``token`` (64 hexadecimal digits), ``keyfile`` (a MongoDB key file, 1008 base64 characters) and
    ``account`` (the private key of a new account: 0x and 64 hexadecimal digits).
    """

    kind: pulumi.Output[str]
    value: pulumi.Output[str]

    def __init__(self, name: str, kind: Kind, opts: pulumi.ResourceOptions | None = None) -> None:
        hidden = pulumi.ResourceOptions(additional_secret_outputs=["value"])
        super().__init__(
            GeneratedSecretProvider(),
            name,
            {"kind": kind, "value": None},
            pulumi.ResourceOptions.merge(opts, hidden),
        )
