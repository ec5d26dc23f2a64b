"""Inside a container of bench/bridge_clients.py: the echo, and many clients that check what comes back."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
import time
from typing import Final, cast

_every: Final = 0.05  # seconds between datagrams of one client
_size: Final = 1200  # bytes
_patience: Final = 3.0  # seconds that the last answers may take


class Client(asyncio.DatagramProtocol):
    """One local peer: numbers its datagrams, and notes what comes back wrong or not at all."""

    def __init__(self) -> None:
        self.sent: dict[int, float] = {}
        self.times: list[float] = []
        self.wrong = self.errors = 0
        self._padding = os.urandom(_size - 8)
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # It is one, though asyncio's own class is none by its bases.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: object) -> None:
        started = self.sent.pop(int.from_bytes(data[:8], "big"), None)
        if started is None or data[8:] != self._padding:
            self.wrong += 1
        else:
            self.times.append(time.perf_counter() - started)

    def error_received(self, exc: Exception) -> None:
        self.errors += 1

    async def send(self, seconds: float, delay: float) -> None:
        """Datagrams at their pace, from ``delay`` on."""
        assert self._transport is not None
        await asyncio.sleep(delay)
        end, number = time.perf_counter() + seconds, 0
        while time.perf_counter() < end:
            number += 1
            self.sent[number] = time.perf_counter()
            self._transport.sendto(number.to_bytes(8, "big") + self._padding)
            await asyncio.sleep(_every)
        await asyncio.sleep(_patience)
        self._transport.close()


async def load(host: str, port: int, count: int, seconds: float) -> dict[str, float]:
    """Counts of all clients, and their median and 99th percentile in milliseconds."""
    loop = asyncio.get_running_loop()
    clients = [(await loop.create_datagram_endpoint(Client, remote_addr=(host, port)))[1] for _ in range(count)]
    await asyncio.gather(*(client.send(seconds, _every * n / count) for n, client in enumerate(clients)))
    times = sorted(one for client in clients for one in client.times)
    return {
        "answered": len(times),
        "lost": sum(len(client.sent) for client in clients),
        "wrong": sum(client.wrong for client in clients),
        "errors": sum(client.errors for client in clients),
        "silent": sum(not client.times for client in clients),
        "p50": times[len(times) // 2] * 1000,
        "p99": times[int(len(times) * 0.99)] * 1000,
    }


def echo(port: int) -> None:
    """Answers each datagram with itself, until it is killed."""
    here = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    here.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    here.bind(("0.0.0.0", port))
    while True:
        datagram, sender = here.recvfrom(65536)
        here.sendto(datagram, sender)


if __name__ == "__main__":
    if sys.argv[1] == "echo":
        echo(int(sys.argv[2]))
    else:
        print(json.dumps(asyncio.run(load(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])))))
