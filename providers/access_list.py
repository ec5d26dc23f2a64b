"""The access list, declared once per stack: token -> (owner, key, address).

Block, hash and receipt are outputs: as inputs they would make every update a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import ConfigureRequest, CreateResult, ReadResult, Resource, ResourceProvider, UpdateResult

from berth.access.errors import ListMoved
from berth.access.model import AccessList as List
from berth.access.model import Entry
from berth.access.pin import difference
from berth.access.read import read_access_list
from berth.access.receipt import Receipt
from providers.chain import access_settings, chain_settings, endpoint_of
from providers.settings import AccessSettings, ChainSettings

_inputs = ("entries", "digest", "chainId", "registry")


class AccessListProvider(ResourceProvider):
    """Reads the chain anew and agrees, or refuses, to what the program declared."""

    _chain: ChainSettings
    _access: AccessSettings

    def configure(self, req: ConfigureRequest) -> None:
        self._chain, self._access = chain_settings(req), access_settings(req)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult("access-list", self._confirm(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self._confirm(news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """What was declared last: the program reads the chain, so that a preview can name who comes and goes."""
        return ReadResult(id_, props, _declared(props))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Nothing: passes stay on the chain, and peers go with their nodes."""

    def _confirm(self, props: Mapping[str, Any]) -> dict[str, Any]:
        current = read_access_list(
            endpoint_of(self._chain), props["registry"], self._access.tunnel_subnet, at=self._chain.finality
        )
        if current.digest != props["digest"]:
            declared = tuple(Entry.from_inputs(token, entry) for token, entry in (props.get("entries") or {}).items())
            raise ListMoved(
                f"the access list has moved while the update ran; at block {current.block}: "
                f"{difference(declared, current.entries)}. Nothing was changed: run it again"
            )
        block = {"number": current.block.number, "hash": current.block.hash}
        return {**_declared(props), "block": block, "receipt": Receipt.of(current).as_dict()}


def _declared(props: Mapping[str, Any]) -> dict[str, Any]:
    # An empty map may come back from state as nothing at all.
    return {**{key: props.get(key) for key in _inputs}, "entries": props.get("entries") or {}}


def inputs_of(access: List) -> dict[str, Any]:
    """What the resource declares for a list."""
    return {
        "entries": {str(entry.token): entry.as_inputs() for entry in access.entries},
        "digest": access.digest,
        "chainId": access.chain_id,
        "registry": access.registry,
    }


class AccessList(Resource, module="berth", name="AccessList"):
    """``entries``, ``digest``, ``chainId`` and ``registry`` as declared; ``block`` and ``receipt`` as confirmed."""

    entries: pulumi.Output[dict[str, dict[str, str]]]
    digest: pulumi.Output[str]
    block: pulumi.Output[dict[str, Any]]
    receipt: pulumi.Output[dict[str, Any]]

    def __init__(
        self, name: str, declared: pulumi.Output[dict[str, Any]], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        """``declared``: :func:`inputs_of` a list, unknown while there are no contracts yet."""
        properties: dict[str, Any] = {key: declared[key] for key in _inputs}
        super().__init__(AccessListProvider(), name, {**properties, "block": None, "receipt": None}, opts)
