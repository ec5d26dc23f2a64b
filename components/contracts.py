"""The contracts of a stack, at addresses that depend on nothing but their code and arguments."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pulumi

from berth.chain.accounts import address_of
from components.base import Component
from providers.contract import Contract
from providers.settings import AccessSettings, ChainSettings, SettingsError


@dataclass(frozen=True)
class ContractsArgs:
    """``after``: what must be there before a contract can be deployed, such as a local chain."""

    chain: ChainSettings
    access: AccessSettings
    after: Sequence[pulumi.Resource] = ()


class Contracts(Component):
    """AccessPass, KeyRegistry (of that collection) and NodeRegistry."""

    def __init__(self, name: str, args: ContractsArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:access:Contracts", name, opts)
        access, chain_id, owner = args.access, args.chain.chain_id, _owner(args)
        self.access_pass = Contract(
            "access-pass",
            contract="AccessPass",
            chain_id=chain_id,
            args={"name": access.pass_name, "symbol": access.pass_symbol, "owner": owner},
            opts=self.child(depends_on=list(args.after)),
        )
        self.key_registry = Contract(
            "key-registry",
            contract="KeyRegistry",
            chain_id=chain_id,
            args={
                "collection": self.access_pass.address,
                "delegates": access.delegates,
                "quarantine": access.quarantine_seconds,
            },
            # Its constructor asks the collection what it supports, so the collection's address is not enough.
            opts=self.child(depends_on=[*args.after, self.access_pass]),
        )
        self.node_registry = Contract(
            "node-registry",
            contract="NodeRegistry",
            chain_id=chain_id,
            args={"owner": owner},
            opts=self.child(depends_on=list(args.after)),
        )
        self.register_outputs(
            {
                "accessPass": self.access_pass.address,
                "keyRegistry": self.key_registry.address,
                "nodeRegistry": self.node_registry.address,
            }
        )


def _owner(args: ContractsArgs) -> str:
    """Who may mint passes and allow nodes: as set, else the deployer."""
    if args.access.owner is not None:
        return args.access.owner
    if args.chain.deployer_key is not None:
        return address_of(args.chain.deployer_key.get_secret_value())
    raise SettingsError(
        "neither berth:access.owner nor berth:chain.deployerKey is set, so the contracts would belong to nobody: "
        "set the owner's address, or the deployer's key as a secret"
    )
