"""The access list, declared once per stack: token -> (owner, key, address).

Block, hash and receipt are outputs: as inputs they would make every update a change.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import (
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from berth.access.errors import ListMoved
from berth.access.model import AccessList as List
from berth.access.model import Block, Entry
from berth.access.pin import difference
from berth.access.read import read_access_list, require_not_older
from berth.access.receipt import Receipt
from berth.chain.endpoint import Endpoint
from providers.chain import access_settings, chain_settings, reader_of
from providers.settings import AccessSettings, ChainSettings

_inputs = ("entries", "digest", "chainId", "registry")


class AccessListProvider(ResourceProvider):
    """Reads the chain anew and agrees, or refuses, to what the program declared."""

    _chain: ChainSettings
    _access: AccessSettings

    def configure(self, req: ConfigureRequest) -> None:
        self._chain, self._access = chain_settings(req), access_settings(req)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult("access-list", self._confirm(props, {}))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """Leaves the comparison to the engine, but shows no change that an endpoint which lags has made up."""
        digest = str(news.get("digest"))
        if digest.startswith("sha256:") and digest != olds.get("digest"):
            endpoint = reader_of(self._chain)
            _require_not_older(endpoint, endpoint.block(self._chain.finality), olds)
        return DiffResult()

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self._confirm(news, olds))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """What was declared last: the program reads the chain, so that a preview can name who comes and goes."""
        return ReadResult(id_, props, _declared(props))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Nothing: passes stay on the chain, and peers go with their nodes."""

    def _confirm(self, props: Mapping[str, Any], olds: Mapping[str, Any]) -> dict[str, Any]:
        endpoint = reader_of(self._chain)
        current = read_access_list(endpoint, props["registry"], self._access.tunnel_subnet, at=self._chain.finality)
        _require_not_older(endpoint, current.block, olds)
        if current.digest != props["digest"]:
            declared = tuple(Entry.from_inputs(token, entry) for token, entry in (props.get("entries") or {}).items())
            raise ListMoved(
                f"the access list has moved while the update ran; at block {current.block}: "
                f"{difference(declared, current.entries)}. Nothing was changed: run it again"
            )
        block = {"number": current.block.number, "hash": current.block.hash}
        receipt = Receipt.of(current).as_dict()
        return {**_declared(props), "block": block, "genesis": endpoint.block(0).hash, "receipt": receipt}


def _require_not_older(endpoint: Endpoint, block: Block, olds: Mapping[str, Any]) -> None:
    """OlderBlock when ``block`` is before that of the list in state; a chain started anew has another block 0."""
    known = olds.get("block")
    if not known or block.number >= known["number"] or endpoint.block(0).hash != olds.get("genesis"):
        return
    require_not_older(endpoint, block, Block(int(known["number"]), known["hash"]))


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
    """``entries``, ``digest``, ``chainId`` and ``registry`` as declared; ``block`` and ``receipt`` as confirmed.

    State holds ``genesis`` as well, the hash of the chain's block 0: numbers of blocks compare within one chain only.
    """

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
