"""What can go wrong between the registry and the list of peers.

::

    berth.chain.errors.ChainError
    ├── TemporaryError            ChainUnreachable, BlockGone, and
    │   ├── InconsistentList      the answer contradicts itself: the endpoint lies, lags or truncates
    │   └── OlderBlock            the endpoint is behind a block already known
    └── PermanentError            WrongChain, NoContract, CallFailed, and
        ├── ListMoved             the list is not the one that was shown
        ├── PinDamaged            the pin file cannot be read
        └── SubnetTooSmall        a slot has no address in the tunnel's subnet

Whatever is raised, no list exists: keep the peers that are there.
"""

from __future__ import annotations

from berth.chain.errors import (
    BlockGone,
    CallFailed,
    ChainError,
    ChainUnreachable,
    NoContract,
    PermanentError,
    TemporaryError,
    WrongChain,
)

__all__ = [
    "BlockGone",
    "CallFailed",
    "ChainError",
    "ChainUnreachable",
    "InconsistentList",
    "ListMoved",
    "NoContract",
    "OlderBlock",
    "PermanentError",
    "PinDamaged",
    "SubnetTooSmall",
    "TemporaryError",
    "WrongChain",
]


class InconsistentList(TemporaryError):
    """What the endpoint answered cannot be one whole list of one block."""


class OlderBlock(TemporaryError):
    """The endpoint's head is behind a block whose list is already known: it lags, or the chain was rolled back."""


class ListMoved(PermanentError):
    """The list on the chain is not the one that a preview (or the program) showed."""


class PinDamaged(PermanentError):
    """The pin file is there but does not hold a pin."""


class SubnetTooSmall(PermanentError):
    """A slot's address would lie outside the tunnel's subnet."""
