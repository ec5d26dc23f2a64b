"""A node's place on the operator's allow-list: which account may announce it in NodeRegistry."""

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

from berth.chain.accounts import address_of
from berth.chain.errors import ChainError, NoContract
from berth.chain.node_registry import NodeRegistry
from providers.chain import chain_settings, deployer_key, endpoint_of
from providers.settings import ChainSettings

_inputs: Final = ("node", "account", "registry", "chainId")


class NodeAllowanceProvider(ResourceProvider):
    """Allows and disallows by the owner's key, which comes through ``configure`` and never reaches state.

    Where the registry belongs to somebody else (a multisig, say), it only says whether they have allowed the node.
    """

    _chain: ChainSettings

    def configure(self, req: ConfigureRequest) -> None:
        self._chain = chain_settings(req)

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"allowance-{props['node']}", self._allow(props))

    def diff(self, _id: str, olds: dict[str, Any], news: dict[str, Any]) -> DiffResult:
        """A node that is not allowed (any more) is a change; one that has another name or registry is another."""
        replaces = [key for key in ("node", "registry", "chainId") if olds.get(key) != news.get(key)]
        changed = olds.get("account") != news.get("account") or not olds.get("allowed")
        # An old allowance under the same name would be taken away after the new one was given.
        return DiffResult(changes=bool(replaces) or changed, replaces=replaces, delete_before_replace=True)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """Who is allowed now: another account, or nobody, stands where the declared one was."""
        found = self._registry(props).account_of(props["node"])
        allowed = found is not None and found == props["account"]
        inputs = {key: props.get(key) for key in _inputs}
        outputs = {**inputs, "account": found or "", "allowed": allowed}
        return ReadResult(id_, outputs, {**inputs, "account": found or ""})

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(self._allow(news))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Takes the node off the list, so that clients are no longer sent to it.

        A local chain that does not answer is no reason to keep a stack standing: with it goes who could ask.
        """
        registry = self._registry(props)
        try:
            if registry.account_of(props["node"]) is not None and self._is_ours(registry):
                registry.disallow(self._sender(), props["node"])
        except NoContract:
            return  # the list is gone, and this node's place with it
        except ChainError as error:
            if self._chain.mode != "local":
                raise
            pulumi.log.warn(f"node {props['node']} stays on the allow-list of a chain that does not answer: {error}")

    def _allow(self, props: Mapping[str, Any]) -> dict[str, Any]:
        registry, node, account = self._registry(props), props["node"], props["account"]
        registry.endpoint.check_chain()
        if registry.account_of(node) != account and self._is_ours(registry):
            registry.allow(self._sender(), node, account)
        return {**{key: props[key] for key in _inputs}, "allowed": registry.account_of(node) == account}

    def _is_ours(self, registry: NodeRegistry) -> bool:
        return registry.owner() == address_of(deployer_key(self._chain))

    def _registry(self, props: Mapping[str, Any]) -> NodeRegistry:
        return NodeRegistry(endpoint_of(self._chain), props["registry"])

    def _sender(self) -> Any:
        from berth.chain.transactions import Sender  # web3: 1.1 s, which reading and comparing need not wait for

        return Sender(endpoint_of(self._chain), deployer_key(self._chain))


class NodeAllowance(Resource, module="berth", name="NodeAllowance"):
    """``allowed``: whether ``account`` may announce ``node``; false where the operator still has to allow it."""

    account: pulumi.Output[str]
    allowed: pulumi.Output[bool]

    def __init__(
        self,
        name: str,
        *,
        node: str,
        account: pulumi.Input[str],
        registry: pulumi.Input[str],
        chain_id: int,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        properties = {"node": node, "account": account, "registry": registry, "chainId": chain_id, "allowed": None}
        super().__init__(NodeAllowanceProvider(), name, properties, opts)
