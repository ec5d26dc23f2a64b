"""Hashes over who the peers of an interface are and what their addresses are.

There are 256, each over the lines of the peers whose key begins with this byte.  So the fingerprint that an interface
should have is known after each change without looking at all its peers, each part can be compared by itself, and
that of an interface as it is can be taken by another process: our wireguard-go itself (images/wireguard/go), or
``python -m berth.vpn.fingerprint INTERFACE`` where the peers are the kernel's.  Standard library alone, because the
latter starts anew each time.
"""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64decode
from collections.abc import Iterable
from hashlib import sha256
from typing import Final

_parts: Final = 256
_text: Final = re.compile(r"(?:[0-9a-f]{64}\n){256}")

Parts = tuple[str, ...]
"""A fingerprint: 256 hashes in hex, by the first byte of the key."""


def line(key: str, allowed: Iterable[str], preshared: bool = False) -> str:
    """What is hashed of one peer: its key in hex, its allowed IPs, and whether it has a preshared key."""
    return f"{b64decode(key).hex()} {','.join(sorted(allowed))}{' psk' if preshared else ''}\n"


class Fingerprint:
    """The fingerprint of a set of peers that changes; keys in base64, O(1) for each change."""

    def __init__(self) -> None:
        self._lines: list[dict[str, str]] = [{} for _ in range(_parts)]
        self._hashes = [sha256().hexdigest()] * _parts
        self._stale: set[int] = set()

    def __len__(self) -> int:
        return sum(map(len, self._lines))

    def put(self, key: str, allowed: Iterable[str], preshared: bool = False) -> None:
        """Add a peer, or change one."""
        text = line(key, allowed, preshared)
        part = int(text[:2], 16)
        self._lines[part][key] = text
        self._stale.add(part)

    def remove(self, key: str) -> None:
        """Take a peer away; nothing where it is not there."""
        part = b64decode(key)[0]
        if self._lines[part].pop(key, None) is not None:
            self._stale.add(part)

    def parts(self) -> Parts:
        """The fingerprint."""
        for part in self._stale:
            self._hashes[part] = sha256("".join(sorted(self._lines[part].values())).encode()).hexdigest()
        self._stale.clear()
        return tuple(self._hashes)


def parse(text: str) -> Parts:
    """The fingerprint in the form that :func:`show` gives it; ValueError where it is none."""
    if not _text.fullmatch(text):
        raise ValueError("a fingerprint has 256 lines of 64 hex digits")
    return tuple(text.split())


def show(parts: Parts) -> str:
    """One line for each part."""
    return "".join(f"{part}\n" for part in parts)


def of_interface(name: str) -> Parts:
    """The fingerprint of an interface, by ``wg``.  CalledProcessError where that fails."""
    preshared = dict(map(str.split, _show(name, "preshared-keys")))
    found = Fingerprint()
    for text in _show(name, "allowed-ips"):
        key, _, allowed = text.partition("\t")
        found.put(key, allowed.split() if allowed != "(none)" else (), preshared.get(key, "(none)") != "(none)")
    return found.parts()


def _show(name: str, what: str) -> list[str]:
    command = ["wg", "show", name, what]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout.splitlines()


if __name__ == "__main__":
    try:
        sys.stdout.write(show(of_interface(sys.argv[1])))
    except subprocess.CalledProcessError as failed:
        sys.exit(failed.stderr or str(failed))
