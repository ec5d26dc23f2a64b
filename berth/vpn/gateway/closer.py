"""Ends what is open to a lease when the manager of leases says so, over a socket in a folder that both see.

It says the lease's address on one line and hears how many connections there were.  That is all that can be asked here:
HAProxy's own socket, which can do anything, stays the gateway's.
"""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from berth.kit.logging import get_logger
from berth.vpn.gateway.errors import GatewayError

_look: Final = 0.25  # seconds: how often it is looked whether to stop
_patience: Final = 1.0  # seconds for one question
_longest: Final = 64  # bytes
_join: Final = 2.0


class Closer:
    """A thread that listens at ``path``; ``close`` ends what is open to an address, and says how much that was."""

    def __init__(self, path: Path, close: Callable[[str], int]) -> None:
        self._path, self._close = path, close
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="closer", daemon=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._log = get_logger("closer")

    def start(self) -> None:
        """Listen; OSError where the folder is not there, or not this gateway's to write."""
        self._path.unlink(missing_ok=True)
        self._socket.bind(str(self._path))
        # Who may come here is who has the folder.
        os.chmod(self._path, 0o666)
        self._socket.listen(64)
        self._socket.settimeout(_look)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, and waits for it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_join)
        self._socket.close()
        self._path.unlink(missing_ok=True)

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            with connection:
                try:
                    connection.settimeout(_patience)
                    connection.sendall(self._answer(connection.recv(_longest)).encode() + b"\n")
                except OSError as error:
                    self._log.warning("a question was not answered", reason=str(error))

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
