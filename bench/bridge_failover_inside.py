"""Both ends of the download that ``bench/bridge_failover.py`` disturbs, for the containers there.

``serve ADDRESS``: bytes at a steady pace; ``fetch ADDRESS SECONDS NODE=HOST:PORT ...``: takes them through a tunnel
whose bridges it keeps, writes to /tmp/active which bridge is in use, and prints what arrived and the times between.
"""

from __future__ import annotations

import hashlib
import json
import socket
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Final

from berth.access.client.tunnel.bridges import Bridge
from berth.access.client.tunnel.program import Program

listen: Final = "127.0.0.1:51888"
port: Final = 9000
rate: Final = 4 * 2**20  # bytes a second
_chunk: Final = 32 * 2**10
_program: Final = Path("/usr/local/bin/berth-bridge")
_active: Final = Path("/tmp/active")  # in a container of its own


def chunks(count: int) -> Iterator[bytes]:
    """What is sent: the same on both sides, and no two pieces alike."""
    seed = Random(51820).randbytes(_chunk - 8)
    return (number.to_bytes(8) + seed for number in range(count))


def serve(address: str) -> None:
    """Answers each connection, which says how many pieces it wants, one after another."""
    with socket.create_server((address, port)) as server:
        while True:
            connection, _ = server.accept()
            with connection:
                count = int.from_bytes(connection.recv(8))
                began = time.monotonic()
                for number, piece in enumerate(chunks(count)):
                    time.sleep(max(0.0, began + number * _chunk / rate - time.monotonic()))
                    connection.sendall(piece)


def fetch(address: str, seconds: int, bridges: list[Bridge]) -> dict[str, object]:
    """Downloads for about ``seconds``; ``gaps`` are [begin, end] of the system's monotonic clock."""
    count = seconds * rate // _chunk
    expected = hashlib.sha256()
    for chunk in chunks(count):
        expected.update(chunk)
    taken, size, gaps = hashlib.sha256(), 0, list[tuple[float, float]]()
    with Program(_program, listen, bridges, nudge=f"{address}:9") as program:
        threading.Thread(target=_tell, args=(program,), daemon=True).start()
        with socket.create_connection((address, port), timeout=120) as connection:
            connection.sendall(count.to_bytes(8))
            last = time.monotonic()
            while piece := connection.recv(256 * 2**10):
                now = time.monotonic()
                gaps.append((last, now))
                last = now
                taken.update(piece)
                size += len(piece)
        failovers = program.stats()["failovers"]
    whole = size == count * _chunk and taken.digest() == expected.digest()
    return {"whole": whole, "bytes": size, "gaps": gaps, "failovers": failovers}


def _tell(program: Program) -> None:
    while True:
        active = program.stats().get("active") or {}
        _active.write_text(str(active.get("address", "")))
        time.sleep(0.05)


def main(arguments: list[str]) -> None:
    """As the module says."""
    if arguments[0] == "serve":
        serve(arguments[1])
    found = fetch(arguments[1], int(arguments[2]), [Bridge.parse(each) for each in arguments[3:]])
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
