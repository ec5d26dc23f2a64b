"""The Merkle tree hash of RFC 6962 section 2.1, over SHA-256, and a tree that is changed in O(change).

Leaves and inner nodes are hashed with different prefixes, so that no inner node can pass as a leaf.  A set is
hashed in 256 buckets: a bucket's root is over its leaves in order, the set's root over the 256 bucket roots.  So
one leaf more costs a bucket's leaves and eight nodes, not the whole set.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Any, Final, Generic, Protocol, TypeVar

buckets: Final = 256


class Ordered(Protocol):
    """What leaves are sorted by."""

    def __lt__(self, other: Any, /) -> bool: ...


K = TypeVar("K", bound=Ordered)


def root(leaves: Iterable[bytes]) -> bytes:
    """The 32-byte root over leaves in their order; SHA-256 of nothing when there are none."""
    return _combine([_leaf(leaf) for leaf in leaves])


def _leaf(leaf: bytes) -> bytes:
    return sha256(b"\x00" + leaf).digest()


def _node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _combine(level: list[bytes]) -> bytes:
    if not level:
        return sha256().digest()
    while len(level) > 1:
        # An odd node moves up as it is: this gives RFC 6962's split at the largest power of two.
        odd = level[-1:] if len(level) % 2 else []
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [_node(left, right) for left, right in pairs] + odd
    return level[0]


class Tree(Generic[K]):
    """A set of leaves by key; which of the 256 buckets each is in, its key decides (see the callers)."""

    def __init__(self) -> None:
        self._buckets: list[dict[K, bytes]] = [{} for _ in range(buckets)]
        self._dirty: set[int] = set()
        # A binary heap: node n has the children 2n and 2n + 1, leaves are at 256 and after.
        nodes = [b""] * buckets + [_leaf(_combine([]))] * buckets
        for position in range(buckets - 1, 0, -1):
            nodes[position] = _node(nodes[2 * position], nodes[2 * position + 1])
        self._nodes = nodes

    def put(self, bucket: int, key: K, leaf: bytes) -> None:
        """Add the leaf, or replace the one that has this key."""
        self._buckets[bucket][key] = _leaf(leaf)
        self._dirty.add(bucket)

    def drop(self, bucket: int, key: K) -> None:
        """Take the leaf away, if it is there."""
        if self._buckets[bucket].pop(key, None) is not None:
            self._dirty.add(bucket)

    def root(self) -> bytes:
        """The 32-byte root; hashes what has changed since the last time."""
        above: set[int] = set()
        for number in self._dirty:
            found = self._buckets[number]
            position = buckets + number
            self._nodes[position] = _leaf(_combine([found[key] for key in sorted(found)]))
            above.add(position // 2)
        self._dirty.clear()
        while above:
            for position in above:
                self._nodes[position] = _node(self._nodes[2 * position], self._nodes[2 * position + 1])
            above = {position // 2 for position in above if position > 1}
        return self._nodes[1]
