"""What ``bench.churn`` runs inside the node's container: the members, and then one change after the other.

Imports nothing but what the image has.
"""

from __future__ import annotations

import json
import sys
import time
from base64 import b64encode
from hashlib import sha256
from ipaddress import IPv4Network
from typing import Final

from berth.access.diff import Changes
from berth.access.tunnel import Subnets
from berth.vpn.command import run
from berth.vpn.reconcile import apply_changes, reconcile
from berth.vpn.wireguard import WireGuard

_pause: Final = 0.01  # seconds from one change to the next: a hundred a second, for ten seconds
_device: Final = WireGuard("wg0", run, Subnets(IPv4Network("10.77.0.0/16")))


def start(members: dict[str, str]) -> None:
    """The clients' keys and addresses."""
    reconcile(members, _device)


def change(count: int) -> list[float]:
    """Seconds that each change took; a new peer comes, or the one before goes."""
    seconds = []
    for number in range(count):
        peer = {b64encode(sha256(str(number // 2).encode()).digest()).decode(): f"10.77.200.{number // 2 % 200 + 1}"}
        changes, before = (Changes(remove=peer), peer) if number % 2 else (Changes(add=peer), {})
        started = time.perf_counter()
        apply_changes(changes, before, _device)
        seconds.append(time.perf_counter() - started)
        time.sleep(max(_pause - seconds[-1], 0))
    return seconds


if __name__ == "__main__":
    if sys.argv[1] == "start":
        start(json.loads(sys.argv[2]))
    sys.stdout.write(json.dumps(change(int(sys.argv[2])) if sys.argv[1] == "change" else None))
