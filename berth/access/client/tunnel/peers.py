"""A WireGuard interface of this machine: who of its peers has the allowed IPs, and giving them to another."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Final

from berth.kit.client import ClientError

_keepalive: Final = 25  # seconds, as in the file that `berth connect` writes
_limit: Final = 10.0  # seconds for one command
Runner = Callable[[Sequence[str]], str]


class NoInterface(ClientError):
    """There is no such interface (yet)."""


def run_wg(arguments: Sequence[str]) -> str:
    """``wg`` with these arguments.  Errors: NoInterface, ClientError."""
    try:
        done = subprocess.run(["wg", *arguments], capture_output=True, text=True, check=False, timeout=_limit)
    except FileNotFoundError:
        raise ClientError("there is no `wg` here: install wireguard-tools") from None
    except subprocess.TimeoutExpired:
        raise ClientError(f"`wg {arguments[0]}` did not end within {_limit:g} s") from None
    if done.returncode == 0:
        return done.stdout
    reason = done.stderr.strip() or f"exit status {done.returncode}"
    if "No such device" in reason:
        raise NoInterface(reason)
    if "Operation not permitted" in reason:
        raise ClientError(f"{reason}: moving to another node needs root")
    raise ClientError(f"`wg {arguments[0]}` failed: {reason}")


@dataclass(frozen=True)
class _Row:
    key: str
    allowed: str
    keepalive: str


class Interface:
    """A WireGuard interface by name.  Errors: NoInterface, ClientError."""

    def __init__(self, name: str, run: Runner = run_wg) -> None:
        self.name, self._run = name, run

    def holder(self, keys: Collection[str]) -> str | None:
        """Which of these peers has allowed IPs; None where none has."""
        return next((row.key for row in self._rows() if row.key in keys and row.allowed), None)

    def move(self, key: str, among: Collection[str], endpoint: str) -> bool:
        """Gives the allowed IPs of whoever of ``among`` has them to the peer ``key``; whether anything changed.

        Peers are those of the configuration: one that it does not name is never made.  What is moved to has its
        endpoint set, and being kept alive makes it shake hands at once; what is moved from falls silent.
        """
        rows = {row.key: row for row in self._rows()}
        holders = [row for row in rows.values() if row.key in among and row.key != key and row.allowed]
        if not holders:
            return False
        if key not in rows:
            raise ClientError(
                f"the configuration of {self.name} does not hold the node to move to as a peer: write it anew "
                "(`berth connect --move --udp-blocked`)"
            )
        change = ["set", self.name]
        for row in holders:
            change += ["peer", row.key, "allowed-ips", "", "persistent-keepalive", "off"]
        allowed = ",".join(part for row in (*holders, rows[key]) for part in row.allowed.split(",") if part)
        keepalive = next((row.keepalive for row in holders if row.keepalive != "off"), str(_keepalive))
        change += ["peer", key, "endpoint", endpoint, "allowed-ips", allowed, "persistent-keepalive", keepalive]
        self._run(change)
        return True

    def _rows(self) -> list[_Row]:
        # The first line is the interface's own, with its private key.
        rows = [line.split("\t") for line in self._run(["show", self.name, "dump"]).splitlines()[1:]]
        return [_Row(row[0], "" if row[3] == "(none)" else row[3], row[7]) for row in rows]
