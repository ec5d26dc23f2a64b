"""The Merkle tree hash of RFC 6962 section 2.1, over SHA-256.

Leaves and inner nodes are hashed with different prefixes, so that no inner node can pass as a leaf.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256


def root(leaves: Iterable[bytes]) -> bytes:
    """The 32-byte root over leaves in their order; SHA-256 of nothing when there are none."""
    level = [sha256(b"\x00" + leaf).digest() for leaf in leaves]
    if not level:
        return sha256().digest()
    while len(level) > 1:
        # An odd node moves up as it is: this gives RFC 6962's split at the largest power of two.
        odd = level[-1:] if len(level) % 2 else []
        pairs = zip(level[::2], level[1::2], strict=False)
        level = [sha256(b"\x01" + left + right).digest() for left, right in pairs] + odd
    return level[0]
