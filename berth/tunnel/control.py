"""Speaks to the forwarding program on its unix socket."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from berth.tunnel.errors import ProgramRefused, ProgramUnreachable

_timeout: Final = 5.0  # seconds
_answer_limit: Final = 16 * 2**20  # bytes; a thousand connections are half a MiB
_fresh: Final = 0.5  # seconds for which /health, /stats and /metrics share one answer


@dataclass(frozen=True)
class BridgeEndpoint:
    """A server end: ``address`` host:port, ``node`` the id of the node behind it, "" where it does not matter."""

    address: str
    node: str = ""


class Control:
    """The program's control socket; errors: ProgramUnreachable, ProgramRefused."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._stats: dict[str, Any] = {}
        self._read_at = 0.0

    def stats(self) -> dict[str, Any]:
        """What the program counts; at most half a second old."""
        with self._lock:
            if not self._stats or time.monotonic() - self._read_at > _fresh:
                self._stats = {}  # after a failure there is nothing to show
                self._stats = json.loads(self._call("GET", "/stats"))
                self._read_at = time.monotonic()
            return self._stats

    def accept(self, accept: bool, reason: str = "") -> None:
        """Whether a server end takes connections; with False it closes those that it has."""
        self._put("/accept", {"accept": accept, "reason": reason})

    def target(self, target: str) -> None:
        """Where a server end sends to, within its list of allowed targets."""
        self._put("/target", {"target": target})

    def endpoints(self, endpoints: Sequence[BridgeEndpoint]) -> None:
        """Where a client end may go, preferred first."""
        listed = [{"address": one.address, "node": one.node} for one in endpoints]
        self._put("/endpoints", {"endpoints": listed})

    def _put(self, path: str, document: Any) -> None:
        self._call("PUT", path, json.dumps(document))
        with self._lock:
            self._read_at = 0.0

    def _call(self, method: str, path: str, body: str | None = None) -> bytes:
        connection = _UnixConnection(self._path)
        try:
            connection.request(method, path, body)
            response = connection.getresponse()
            answer = response.read(_answer_limit)
        except (OSError, http.client.HTTPException) as error:
            raise ProgramUnreachable(f"the forwarding program does not answer at {self._path}: {error}") from None
        finally:
            connection.close()
        if response.status >= 400:
            raise ProgramRefused(f"the forwarding program refuses {method} {path}: {_detail(answer)}")
        return answer


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=_timeout)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self._path))


def _detail(answer: bytes) -> str:
    try:
        return str(json.loads(answer)["detail"])
    except (ValueError, KeyError, TypeError):
        return answer[:200].decode(errors="replace")
