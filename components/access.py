"""Who may join: the access list of this moment, read from the chain and declared once."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pulumi

from berth.access.errors import BlockGone, ChainError, ListMoved
from berth.access.model import AccessList as List
from berth.access.pin import Pin, pin_file
from berth.access.read import read_access_list
from berth.chain.endpoint import Endpoint
from components.base import Component
from providers.access_list import AccessList, inputs_of
from providers.chain import reader_of
from providers.contract import Contract
from providers.settings import AccessSettings, ChainSettings


@dataclass(frozen=True)
class AccessControlArgs:
    """``registry``: the KeyRegistry; the list is read once it has code."""

    chain: ChainSettings
    access: AccessSettings
    registry: Contract


class AccessControl(Component):
    """Reads the list and declares it.

    While the contracts are still to be deployed the list is unknown, which is legitimate; afterwards a
    failed read fails the program, it never looks like an empty list.
    """

    digest: pulumi.Output[str]
    """The list's Merkle root, which the nodes are asked to reach."""
    block: pulumi.Output[dict[str, Any]]
    """{number, hash} at which the list was confirmed when it last changed."""
    count: pulumi.Output[int]
    """How many passes count."""

    def __init__(self, name: str, args: AccessControlArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:access:AccessControl", name, opts)
        pin, preview = pin_file(), pulumi.runtime.is_dry_run()
        if preview and pin is not None:
            pin.unlink(missing_ok=True)  # a preview that reads nothing must not leave an older one's pin

        async def read(known: list[Any]) -> dict[str, Any]:
            try:
                access, said = await asyncio.to_thread(_read, args, known[0], pin, preview)
            except ChainError as error:
                raise pulumi.RunError(str(error)) from error  # shown as it is, without a traceback
            pulumi.log.info(said, self)
            if access.left_out:
                pulumi.log.warn(_full(access.left_out, args.access.tunnel_subnet), self)
            return inputs_of(access)

        # The code hash is known once there is code: until then there is nothing to read.
        ready = pulumi.Output.all(args.registry.address, args.registry.codeHash)
        declared: pulumi.Output[dict[str, Any]] = ready.apply(read)
        self.list = AccessList("access-list", declared, self.child(depends_on=[args.registry]))
        self.digest, self.block = self.list.digest, self.list.block
        self.count = declared["entries"].apply(len)
        self.register_outputs({"digest": self.digest, "block": self.block, "count": self.count})


def _read(args: AccessControlArgs, registry: str, pin: Path | None, preview: bool) -> tuple[List, str]:
    """The list, and a sentence on where it comes from."""
    endpoint = reader_of(args.chain)
    access = read_access_list(endpoint, registry, args.access.tunnel_subnet, at=args.chain.finality)
    said = f"access list of block {access.block.number} ({access.block.hash}): {_count(len(access.entries))}"
    if pin is not None and preview:
        Pin.of(access).write(pin)
        return access, f"{said}, pinned for the update"
    if pin is not None and (pinned := Pin.read(pin)) is not None:
        _require_canonical(endpoint, pinned)
        pinned.compare(access)
        return access, f"{said}, as it was shown at block {pinned.block.number}"
    return access, f"{said}, read anew"


def _count(passes: int) -> str:
    return "1 pass" if passes == 1 else f"{passes} passes"


def _full(tokens: tuple[int, ...], subnet: IPv4Network) -> str:
    named = ", ".join(map(str, tokens[:20])) + (", ..." if len(tokens) > 20 else "")
    return (
        f"{_count(len(tokens))} without an address in {subnet}, left out: {named}. Reclaim slots of passes that no "
        "longer count (KeyRegistry.reclaim), or set a larger berth:access.tunnelSubnet, which moves every address"
    )


def _require_canonical(endpoint: Endpoint, pin: Pin) -> None:
    """ListMoved when the chain no longer has the block that was shown: what it said cannot be relied on."""
    try:
        found = endpoint.block(pin.block.number)
    except BlockGone:
        found = None
    if found != pin.block:
        raise ListMoved(
            f"block {pin.block} of the preview is no longer on chain {pin.chain_id} (a reorganisation, or a chain "
            "started anew): run `make preview` again"
        )
