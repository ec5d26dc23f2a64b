"""Ends what is open to a lease when the manager of leases says so, over a socket in a folder that both see.

It says the lease's address on one line and hears how many connections there were.  That is all that can be asked here:
HAProxy's own socket, which can do anything, stays the gateway's.
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from berth.kit.logging import get_logger
from berth.vpn.gateway.errors import GatewayError
from berth.vpn.gateway.listener import Listener

_patience: Final = 1.0  # seconds for one question
_longest: Final = 64  # bytes


class Closer:
    """Listens at ``path``; ``close`` ends what is open to an address, and says how much that was."""

    def __init__(self, path: Path, close: Callable[[str], int]) -> None:
        self._path, self._close = path, close
        self._listener = Listener(path, "closer", self._serve, backlog=64, lost="a question was not answered")
        self._log = get_logger("closer")

    def start(self) -> None:
        """Listen; OSError where the folder is not there, or not this gateway's to write."""
        self._listener.start()

    def stop(self) -> None:
        """Ends the thread, and waits for it."""
        self._listener.stop()
        self._path.unlink(missing_ok=True)

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(_patience)
        connection.sendall(self._answer(connection.recv(_longest)).encode() + b"\n")

    def _answer(self, asked: bytes) -> str:
        try:
            address = str(ip_address(asked.decode("ascii", "replace").removesuffix("\n")))
        except ValueError:
            return "no address"
        try:
            ended = self._close(address)
        except GatewayError as error:
            return f"not done: {error}"
        if ended:
            self._log.info("connections to a lease were ended", address=address, sessions=ended)
        return str(ended)
