"""A throw-away local chain for tests, demos and benchmarks: Anvil in a process of its own."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from berth.chain.endpoint import Endpoint
from berth.chain.errors import ChainUnreachable, PermanentError

binary: Final = Path(__file__).resolve().parents[2] / "contracts" / "node_modules" / ".bin" / "anvil"
chain_id: Final = 31337
accounts_key: Final = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""The first account of every Anvil, published and funded."""
_starts_within: Final = 20.0  # seconds
_ends_within: Final = 5.0


class Anvil:
    """An Anvil on a free loopback port, without state on disk; a context manager that ends it.

    ``options`` are passed on, ``port`` 0 means any that is free.
    Errors: PermanentError when Anvil is not installed or does not start.
    """

    def __init__(self, *options: str, id: int = chain_id, port: int = 0) -> None:
        self._options, self._id, self.port = options, id, port
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        if not binary.exists():
            raise PermanentError(f"{binary} is not there: `npm ci` in contracts/ installs Anvil")
        self.port = self.port or _free_port()
        command = [str(binary), "--silent", "--port", str(self.port), "--chain-id", str(self._id), *self._options]
        # npm's `anvil` is a script that starts the program, and `node` may be one too: a group ends as one.
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def endpoint(self) -> Endpoint:
        """The chain, to be called."""
        return Endpoint(self.url, self._id)

    def stop(self) -> None:
        """Ends Anvil, and waits until nothing listens on its port any more; may be called twice."""
        if self._process is None:
            return
        process, self._process = self._process, None
        deadline = time.monotonic() + _ends_within
        _signal(process.pid, signal.SIGTERM)
        while _listens(self.port) and time.monotonic() < deadline:
            time.sleep(0.02)
        _signal(process.pid, signal.SIGKILL)
        process.wait()

    def _wait(self) -> None:
        endpoint, deadline = self.endpoint(), time.monotonic() + _starts_within
        while True:
            try:
                return endpoint.check_chain()
            except ChainUnreachable as error:
                ended = self._process is None or self._process.poll() is not None
                if ended or time.monotonic() > deadline:
                    raise PermanentError(f"Anvil does not start on port {self.port}: {error}") from None
                time.sleep(0.05)


def _signal(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
