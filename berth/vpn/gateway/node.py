"""The node, as its gateway hears it."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from berth.vpn.gateway.errors import NodeGone
from berth.vpn.gateway.wire import Hello, longest_line, most_sockets, parse_owners, ready

_patience: Final = 10.0  # seconds for what the node says at once
_chunk: Final = 64 * 1024


class Node:
    """One connection; a context manager that closes it, and the listening sockets that came with it."""

    def __init__(self, path: Path) -> None:
        self._path, self._buffer = path, bytearray()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listeners: Sequence[int] = ()
        self.hello = Hello("", ())

    def __enter__(self) -> Self:
        try:
            self._socket.settimeout(_patience)
            self._socket.connect(str(self._path))
            first, self._listeners, _, _ = socket.recv_fds(self._socket, _chunk, most_sockets)
            self._buffer += first
            if not first:
                raise NodeGone("the node ended the connection: it may serve another gateway, or its port is taken")
            self.hello = Hello.parse(self._line(_patience))
            if len(self.listeners) != len(self.hello.addresses):
                raise NodeGone(f"the node named {len(self.hello.addresses)} sockets and sent {len(self.listeners)}")
        except OSError as error:
            self.close()
            raise NodeGone(f"the node does not answer at {self._path}: {error}") from None
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def listeners(self) -> Sequence[int]:
        """File descriptors of the listening sockets, in the order of ``hello.addresses``."""
        return self._listeners

    def all(self) -> dict[str, str]:
        """Who owns what, address -> owner: the first thing that the node says."""
        return {address: owner for address, owner in parse_owners(self._line(_patience)).items() if owner is not None}

    def ready(self) -> None:
        """Tell it that peers are answered from now on."""
        try:
            self._socket.sendall(ready)
        except OSError as error:
            raise NodeGone(f"the node ended the connection: {error}") from None

    def changed(self, seconds: float) -> dict[str, str | None]:
        """What changed, None where an address is nobody's any more; empty where nothing did for so many seconds."""
        if b"\n" not in self._buffer and not select.select([self._socket], [], [], seconds)[0]:
            return {}
        return parse_owners(self._line(_patience))

    def close(self) -> None:
        """Closes everything."""
        self._socket.close()
        for descriptor in self._listeners:
            os.close(descriptor)
        self._listeners = ()

    def _line(self, seconds: float) -> bytes:
        self._socket.settimeout(seconds)
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > longest_line:
                raise NodeGone("the node sent something that is no message")
            try:
                more = self._socket.recv(_chunk)
            except OSError as error:
                raise NodeGone(f"the node stopped in the middle of a message: {error}") from None
            if not more:
                raise NodeGone("the node ended the connection")
            self._buffer += more
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line
