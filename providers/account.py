"""An account of the stack's own (a node's, the relay's): filled on a local chain, watched on any other.

Its key is not here: who sends from it has the key, and this knows the address alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

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

from berth.chain.endpoint import Endpoint
from providers.chain import chain_settings, endpoint_of
from providers.settings import ChainSettings

enough: Final = 10**16
"""Wei below which an account counts as not funded: some dozens of transactions on the chains that we know."""
_gift: Final = 10 * 10**18
_inputs: Final = ("address", "chainId")


class AccountProvider(ResourceProvider):
    """``funded`` is all that it says of the balance: the figure itself would change with every transaction."""

    _chain: ChainSettings

    def configure(self, req: ConfigureRequest) -> None:
        self._chain = chain_settings(req)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(props["address"], self._fund(props))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """An account without funds is looked at by every update, until it has some."""
        replaces = [key for key in _inputs if olds.get(key) != news.get(key)]
        return DiffResult(changes=bool(replaces) or not olds.get("funded"), replaces=replaces)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        inputs = {key: props.get(key) for key in _inputs}
        return ReadResult(id_, {**inputs, "funded": _funded(endpoint_of(self._chain), id_)}, inputs)

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self._fund(news))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Nothing: what is left in it belongs to whoever has its key."""

    def _fund(self, props: Mapping[str, Any]) -> dict[str, Any]:
        endpoint, address = endpoint_of(self._chain), props["address"]
        endpoint.check_chain()
        if self._chain.mode == "local" and not _funded(endpoint, address):
            endpoint.request("anvil_setBalance", address, hex(_gift))
        return {**{key: props[key] for key in _inputs}, "funded": _funded(endpoint, address)}


def _funded(endpoint: Endpoint, address: str) -> bool:
    return int(endpoint.request("eth_getBalance", address, "latest"), 16) >= enough


class Account(Resource, module="berth", name="Account"):
    """``funded``: whether it can pay for transactions."""

    address: pulumi.Output[str]
    funded: pulumi.Output[bool]

    def __init__(
        self, name: str, *, address: pulumi.Input[str], chain_id: int, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        properties = {"address": address, "chainId": chain_id, "funded": None}
        super().__init__(AccountProvider(), name, properties, opts)
