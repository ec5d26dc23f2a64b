"""Inside a node's container: reads keys, and says when each is a peer (see ``mine_to_peer``)."""

from __future__ import annotations

import sys
import time
from typing import Final

from berth.vpn.command import run
from berth.vpn.wireguard import WireGuard

_patience: Final = 20.0  # seconds for one key
_pause: Final = 0.001  # seconds between two questions: a node must not be kept busy by being watched


def main() -> None:
    device = WireGuard("wg0", run)
    print("ready", flush=True)
    for line in sys.stdin:
        key, deadline = line.strip(), time.perf_counter() + _patience
        while not device.lookup([key]):
            if time.perf_counter() > deadline:
                print("none", flush=True)
                break
            time.sleep(_pause)
        else:
            print(time.perf_counter(), flush=True)


if __name__ == "__main__":
    main()
