"""A contract at an address that is known beforehand: deploying means "if there is no code"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pulumi
from pulumi.dynamic import (
    CheckResult,
    ConfigureRequest,
    CreateResult,
    DiffResult,
    ReadResult,
    Resource,
    ResourceProvider,
    UpdateResult,
)

from berth.chain import create2
from berth.chain.artifacts import load
from providers.chain import chain_settings, deployer_key, endpoint_of
from providers.settings import ChainSettings

_inputs = ("name", "args", "salt", "chainId", "address")


class ContractProvider(ResourceProvider):
    """Deploys by CREATE2.  The deployer's key comes through ``configure`` and never reaches state."""

    _chain: ChainSettings

    def configure(self, req: ConfigureRequest) -> None:
        self._chain = chain_settings(req)

    def check(self, olds: dict[str, Any], news: dict[str, Any]) -> CheckResult:
        """WrongChain in a preview already when an external chain is changed for another (a local one is made as set).

        A stack that was never deployed previews without a chain: nothing is on it yet that could be mistaken.
        """
        if self._chain.mode == "external" and olds.get("chainId", news["chainId"]) != news["chainId"]:
            endpoint_of(self._chain).check_chain()
        return CheckResult(news, [])

    def create(self, props: dict[str, Any]) -> CreateResult:
        from berth.chain.transactions import Sender  # web3: 1.1 s, which reading and comparing need not wait for

        endpoint = endpoint_of(self._chain)
        artifact = load(props["name"])
        code = create2.init_code(artifact, props["args"])
        sender = Sender(endpoint, deployer_key(self._chain))
        deployed = create2.deploy(endpoint, sender, artifact, code, props["salt"])
        return CreateResult(deployed.address, _outputs(props, deployed.code_hash))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        # Code and arguments are hashed into the address, so a contract never changes: another one takes its place.
        replaces = [key for key in ("address", "chainId") if olds.get(key) != news.get(key)]
        return DiffResult(changes=bool(replaces), replaces=replaces)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Without code (a chain that was started anew) the contract is gone, and the next update deploys it again."""
        endpoint = endpoint_of(self._chain)
        endpoint.check_chain()
        code = endpoint.code(id_)
        if not code:
            return ReadResult("", {})
        return ReadResult(id_, _outputs(props, create2.code_hash(code)), {key: props[key] for key in _inputs})

    def update(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        # Reached when only bookkeeping changed (the provider's own pickle): the contract is the same.
        return UpdateResult(_outputs(news, olds["codeHash"]))

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Nothing: what is on a chain stays there, and deploying it again finds it."""


def _outputs(props: Mapping[str, Any], code_hash: str) -> dict[str, Any]:
    return {**{key: props[key] for key in _inputs}, "codeHash": code_hash}


class Contract(Resource, module="berth", name="Contract"):
    """One of our compiled contracts.

    ``address`` is known in previews, before the contract exists; ``codeHash`` only once it does.
    """

    address: pulumi.Output[str]
    codeHash: pulumi.Output[str]  # noqa: N815  (as it is spelled in state)

    def __init__(
        self,
        name: str,
        *,
        contract: str,
        chain_id: int,
        args: Mapping[str, pulumi.Input[Any]],
        salt: str = create2.zero_salt,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """``args`` are the constructor's, by name (camel case, without Solidity's underscores)."""
        values = pulumi.Output.all(**args)
        address = values.apply(lambda known: create2.predicted_address(create2.init_code(load(contract), known), salt))
        properties = {
            "name": contract,
            "args": values,
            "salt": salt,
            "chainId": chain_id,
            "address": address,
            "codeHash": None,
        }
        super().__init__(ContractProvider(), name, properties, opts)
