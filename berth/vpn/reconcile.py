"""One transaction: make the peers equal to the access list, or leave them as they were.

The same for everyone who changes peers: the control API, a start from the volume, an agent that follows the chain.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from berth.access.diff import Changes, diff
from berth.vpn.errors import ListRefused, NodeError, RollbackFailed, RolledBack
from berth.vpn.wireguard import Device, Peer


class Peers(Protocol):
    """What :class:`~berth.vpn.wireguard.WireGuard` offers."""

    def read(self) -> Device: ...

    def change(self, remove: Iterable[str] = (), put: Iterable[Peer] = ()) -> None: ...


@dataclass(frozen=True)
class Outcome:
    """What was done, and the peers (key -> address) as read back afterwards."""

    changes: Changes
    peers: Mapping[str, str]


def reconcile(desired: Mapping[str, str], device: Peers) -> Outcome:
    """Make the peers of ``device`` equal to ``desired`` (key -> address), touching only those that differ.

    No change means no call.  Errors: ListRefused (two keys with one address; nothing was touched), Unreadable or
    CommandFailed before anything was touched, RolledBack (as before again), RollbackFailed (needs a look).
    """
    _check_addresses(desired)
    before = device.read()
    changes = diff(desired, before.addresses)
    if not changes:
        return Outcome(changes, before.addresses)
    try:
        device.change(
            remove=changes.remove,
            put=[Peer.wanted(key, address) for key, address in {**changes.move, **changes.add}.items()],
        )
        after = device.read()
    except NodeError as error:
        _restore(before, device, cause=str(error))
        raise RolledBack(f"the peers could not be changed and are as before: {error}") from error
    wrong = diff(desired, after.addresses)
    if wrong:
        cause = f"after the change {wrong.count} of {len(desired)} peers were not as asked ({wrong})"
        _restore(before, device, cause)
        raise RolledBack(f"{cause}: the peers are as before")
    return Outcome(changes, after.addresses)


def _check_addresses(desired: Mapping[str, str]) -> None:
    seen: dict[str, str] = {}
    for key, address in desired.items():
        if seen.setdefault(address, key) != key:
            raise ListRefused(f"the list gives {address} to two keys, {seen[address]} and {key}: no peer was touched")


def _restore(before: Device, device: Peers, cause: str) -> None:
    """Put back the peers that differ from ``before``, with all they had, and check; RollbackFailed if that fails."""
    try:
        now = device.read()
        device.change(
            remove=[key for key in now.peers if key not in before.peers],
            put=[peer for key, peer in before.peers.items() if _differs(peer, now.peers.get(key))],
        )
        left = diff(before.addresses, device.read().addresses)
    except NodeError as error:
        raise RollbackFailed(f"{cause}; and the previous peers could not be restored: {error}") from error
    if left:
        raise RollbackFailed(
            f"{cause}; and the previous peers could not be restored: {left.count} still differ ({left})"
        )


def _differs(wanted: Peer, found: Peer | None) -> bool:
    # Not the endpoint: a peer that roamed meanwhile knows better than we where it is.
    return found is None or (found.allowed, found.preshared) != (wanted.allowed, wanted.preshared)
