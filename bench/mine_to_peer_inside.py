"""Inside a node's container: reads keys, and says when each is a peer (see ``mine_to_peer``).

Asks WireGuard over one connection that stays open: a node must not be kept busy by being watched.
"""

from __future__ import annotations

import socket
import sys
import time
from typing import Final

from berth.vpn.uapi import Uapi, hex_key

_patience: Final = 20.0  # seconds for one key
_pause: Final = 0.001  # seconds between two questions


def main() -> None:
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(Uapi("wg0").path))
        print("ready", flush=True)
        for line in sys.stdin:
            question = f"peers=1\npublic_key={hex_key(line.strip())}\n\n".encode()
            deadline = time.perf_counter() + _patience
            while not _there(connection, question):
                if time.perf_counter() > deadline:
                    print("none", flush=True)
                    break
                time.sleep(_pause)
            else:
                print(time.perf_counter(), flush=True)


def _there(connection: socket.socket, question: bytes) -> bool:
    connection.sendall(question)
    answer = b""
    while not answer.endswith(b"\n\n"):
        part = connection.recv(4096)
        if not part:
            raise RuntimeError("WireGuard closed its control socket")
        answer += part
    return answer.startswith(b"public_key=")


if __name__ == "__main__":
    main()
