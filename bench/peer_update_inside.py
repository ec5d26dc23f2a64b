"""What ``bench.peer_update`` runs inside a node's container: changes one peer many times, each way, and prints times.

Imports nothing but what the image has.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from base64 import b64encode
from collections import ChainMap
from collections.abc import Callable
from hashlib import sha256
from ipaddress import IPv4Network
from typing import Final

from berth.access.diff import Changes
from berth.access.tunnel import Subnets, address_of
from berth.vpn.audit import Auditor, Wanted
from berth.vpn.command import run
from berth.vpn.reconcile import apply_changes, reconcile
from berth.vpn.wireguard import Peer, WireGuard, peers_config

_name: Final = "wg0"
_pause: Final = 0.01  # seconds between changes: they come with blocks, and audits run in between
_subnet: Final = IPv4Network("10.77.0.0/16")


def key(number: int) -> str:
    return b64encode(sha256(str(number).encode()).digest()).decode()


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def measure(size: int, changes: int) -> dict[str, list[float]]:
    """Seconds of each change with ``size`` peers beside it: ours (with read-back and audits), wg set, wg syncconf."""
    subnets = Subnets(_subnet)
    device, wanted = WireGuard(_name, run, subnets), Wanted(subnets)
    peers = {key(number): address_of(_subnet, number) for number in range(1, size + 1)}
    reconcile(peers, device)
    wanted.reset(peers)
    amiss: list[str] = []

    def repair(reason: str) -> bool:
        amiss.append(reason)
        return True

    auditor = Auditor(device, wanted, repair)
    auditor.start()
    ours: list[float] = []
    audits: list[float] = []
    for number in range(size + 1, size + 1 + changes):
        one = {key(number): address_of(_subnet, number)}
        for change in (Changes(add=one), Changes(remove=one)):
            before = peers if change.add else ChainMap(one, peers)
            ours.append(timed(lambda change=change, before=before: apply_changes(change, before, device)))  # type: ignore[misc]
            wanted.change(change)
            auditor.poke()
            audits.append(auditor.seconds)
            time.sleep(_pause)
    for _ in range(5):
        assert auditor.audit(), "the peers are not as they should be"
        audits.append(auditor.seconds)
    auditor.stop()
    assert not amiss, amiss
    return {
        "ours": ours,
        "audit": [seconds for seconds in audits if seconds],
        "set": _bare(size, min(changes, 100)),
        "syncconf": _syncconf(peers, 10),
    }


def _bare(size: int, changes: int) -> list[float]:
    """``wg set``, as a script would: no look before, no look after."""
    found = []
    for number in range(size + 1, size + 1 + changes):
        peer = ["wg", "set", _name, "peer", key(number)]
        address = f"{address_of(_subnet, number)}/32"
        for command in ([*peer, "allowed-ips", address], [*peer, "remove"]):
            found.append(timed(lambda command=command: subprocess.run(command, check=True)))  # type: ignore[misc]
            time.sleep(_pause)
    return found


def _syncconf(peers: dict[str, str], changes: int) -> list[float]:
    """``wg syncconf`` of the whole file, as wg-quick's users do."""
    device = WireGuard(_name, run)
    private = run(["wg", "show", _name, "private-key"])
    found = []
    for number in range(changes):
        now = {**peers, key(10**6 + number): address_of(_subnet, len(peers) + 1)}

        def whole(now: dict[str, str] = now) -> None:
            text = peers_config(Peer(name, device.allowed(address)) for name, address in now.items())
            run(["wg", "syncconf", _name, "/dev/stdin"], stdin=f"[Interface]\nPrivateKey = {private}\n{text}")

        found.append(timed(whole))
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
