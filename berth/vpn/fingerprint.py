"""One hash over who the peers of an interface are and what their addresses are.

It is a hash of hashes: one over the lines of the peers whose key begins with the same byte, and one over these 256.
So the fingerprint that an interface should have is known after each change without looking at all its peers, and
that of an interface as it is can be taken by another process: our wireguard-go itself (images/wireguard/go), or
``python -m berth.vpn.fingerprint INTERFACE`` where the peers are the kernel's.  Standard library alone, because the
latter starts anew each time.
"""

from __future__ import annotations

import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

_buckets: Final = 256


def line(key: str, allowed: Iterable[str], preshared: bool = False) -> str:
    """What is hashed of one peer: its key in hex, its allowed IPs, and whether it has a preshared key."""
    return f"{b64decode(key).hex()} {','.join(sorted(allowed))}{' psk' if preshared else ''}\n"


class Fingerprint:
    """The fingerprint of a set of peers that changes; keys in base64, O(1) for each change."""

    def __init__(self) -> None:
        self._lines: list[dict[str, str]] = [{} for _ in range(_buckets)]
        self._hashes = [sha256().digest()] * _buckets
        self._stale: set[int] = set(range(_buckets))

    def __len__(self) -> int:
        return sum(map(len, self._lines))

    def put(self, key: str, allowed: Iterable[str], preshared: bool = False) -> None:
        """Add a peer, or change one."""
        text = line(key, allowed, preshared)
        bucket = int(text[:2], 16)
        self._lines[bucket][key] = text
        self._stale.add(bucket)

    def remove(self, key: str) -> None:
        """Take a peer away; nothing where it is not there."""
        bucket = b64decode(key)[0]
        if self._lines[bucket].pop(key, None) is not None:
            self._stale.add(bucket)

    def hex(self) -> str:
        """The fingerprint, as 64 hex digits."""
        for bucket in self._stale:
            self._hashes[bucket] = sha256("".join(sorted(self._lines[bucket].values())).encode()).digest()
        self._stale.clear()
        return sha256(b"".join(self._hashes)).hexdigest()


def of_interface(name: str) -> str:
    """The fingerprint of an interface, by ``wg``.  CalledProcessError where that fails."""
    preshared = dict(map(str.split, _show(name, "preshared-keys")))
    found = Fingerprint()
    for text in _show(name, "allowed-ips"):
        key, _, allowed = text.partition("\t")
        found.put(key, allowed.split() if allowed != "(none)" else (), preshared.get(key, "(none)") != "(none)")
    return found.hex()


def _show(name: str, what: str) -> list[str]:
    command = ["wg", "show", name, what]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.splitlines()


if __name__ == "__main__":
    try:
        sys.stdout.write(of_interface(sys.argv[1]) + "\n")
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.stderr or str(failed))
