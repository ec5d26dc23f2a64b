"""One transaction: make the peers equal to the access list, or leave them as they were.

The same for everyone who changes peers: the control API, a start from the volume, an agent that follows the chain.
:func:`reconcile` looks at every peer; :func:`apply_changes` at those alone that a change names, so that its time
does not grow with the others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from berth.access.diff import Changes, diff
from berth.access.tunnel import Subnets
from berth.vpn.errors import Drifted, ListRefused, NodeError, RollbackFailed, RolledBack
from berth.vpn.peer import Device, Peer, addresses


class Peers(Protocol):
    """What :class:`~berth.vpn.wireguard.WireGuard` offers."""

    subnets: Subnets | None

    def allowed(self, address: str) -> tuple[str, ...]: ...

    def read(self) -> Device: ...

    def lookup(self, keys: Iterable[str], prefixes: Iterable[str] = ()) -> dict[str, Peer]: ...

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
        _change(changes, device)
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


def apply_changes(changes: Changes, before: Mapping[str, str], device: Peers) -> None:
    """Carry out ``changes`` on ``device`` where the peers that they name are as in ``before`` (key -> address).

    Three questions to WireGuard, whatever the number of peers: what is there, the change, what is there now.
    Whoever else holds one of the new addresses is found as well, since WireGuard would take it away silently.
    Errors: Drifted (nothing was touched: reconcile in whole), ListRefused, Unreadable, CommandFailed (nothing was
    touched), RolledBack (as before again), RollbackFailed (needs a look).
    """
    if not changes:
        return
    put = {**changes.move, **changes.add}
    _check_addresses(put)
    named = {*put, *changes.remove}
    prefixes = {prefix for address in put.values() for prefix in device.allowed(address)}
    found = device.lookup(named, prefixes)
    expected = {key: before[key] for key in named if key in before}
    wrong = diff(expected, addresses(found, device.subnets))
    if wrong:
        raise Drifted(f"{wrong.count} of the {len(named)} peers of a change were not as they were left ({wrong})")
    after = {**{key: address for key, address in expected.items() if key not in changes.remove}, **put}
    try:
        _change(changes, device)
        wrong = diff(after, addresses(device.lookup(named, prefixes), device.subnets))
    except NodeError as error:
        _restore_named(found, named, device, cause=str(error))
        raise RolledBack(f"the peers could not be changed and are as before: {error}") from error
    if wrong:
        cause = f"after the change {wrong.count} of its {len(named)} peers were not as asked ({wrong})"
        _restore_named(found, named, device, cause)
        raise RolledBack(f"{cause}: the peers are as before")


def _change(changes: Changes, device: Peers) -> None:
    put = [Peer(key, device.allowed(address)) for key, address in {**changes.move, **changes.add}.items()]
    device.change(remove=changes.remove, put=put)


def _check_addresses(desired: Mapping[str, str]) -> None:
    seen: dict[str, str] = {}
    for key, address in desired.items():
        if seen.setdefault(address, key) != key:
            raise ListRefused(f"the list gives {address} to two keys, {seen[address]} and {key}: no peer was touched")


def _restore(before: Device, device: Peers, cause: str) -> None:
    """Put back the peers that differ from ``before``, with all they had, and check; RollbackFailed if that fails."""
    try:
        now = device.read()
        device.change(*_way_back(before.peers, now.peers))
        left = diff(before.addresses, device.read().addresses)
    except NodeError as error:
        raise RollbackFailed(f"{cause}; and the previous peers could not be restored: {error}") from error
    _check_left(left, cause)


def _restore_named(before: Mapping[str, Peer], named: Iterable[str], device: Peers, cause: str) -> None:
    """The same for the peers of ``before`` and those ``named`` alone."""
    keys = {*before, *named}
    try:
        device.change(*_way_back(before, device.lookup(keys)))
        left = diff(addresses(before, device.subnets), addresses(device.lookup(keys), device.subnets))
    except NodeError as error:
        raise RollbackFailed(f"{cause}; and the previous peers could not be restored: {error}") from error
    _check_left(left, cause)


def _way_back(before: Mapping[str, Peer], now: Mapping[str, Peer]) -> tuple[list[str], list[Peer]]:
    """Whom to remove and whom to put, so that ``now`` becomes ``before``."""
    return (
        [key for key in now if key not in before],
        [peer for key, peer in before.items() if _differs(peer, now.get(key))],
    )


def _check_left(left: Changes, cause: str) -> None:
    if left:
        raise RollbackFailed(
            f"{cause}; and the previous peers could not be restored: {left.count} still differ ({left})"
        )


def _differs(wanted: Peer, found: Peer | None) -> bool:
    # Not the endpoint: a peer that roamed meanwhile knows better than we where it is.
    return found is None or (set(found.allowed), found.preshared) != (set(wanted.allowed), wanted.preshared)
