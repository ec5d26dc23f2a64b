"""A process beside the engine that serves gRPC: dynamic providers, policy packs."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc

from engine.deploy.language import channel_options, launcher
from engine.events import Diagnostic, Emit
from engine.provider import ProviderError


class Server:
    """``python -m <module> <arguments>`` in ``directory``; started at once, waited for when it is first called.

    ``what`` names it in errors.  Its first line on standard output is its port; what it prints later is passed on.
    """

    def __init__(
        self,
        what: str,
        python: Path,
        module: str,
        arguments: list[str],
        directory: Path,
        environment: dict[str, str],
        emit: Emit,
    ) -> None:
        settings = json.dumps({"path": str(directory), "arguments": arguments})
        self.process = subprocess.Popen(
            [str(python), "-u", str(launcher), module, settings],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the engine, which lets running steps finish
        )
        self._what, self._emit = what, emit
        self._lock = threading.Lock()
        self._stub: Any = None
        self._channel: grpc.Channel | None = None
        self._errors: list[str] = []
        self._reader = threading.Thread(target=self._pass_on, args=("stderr",), daemon=True)
        self._reader.start()

    def _pass_on(self, stream: str) -> None:
        for line in getattr(self.process, stream):
            if self._stub is None:
                self._errors.append(line)
            else:
                self._emit(Diagnostic("info", line.rstrip("\n"), stream="stderr" if stream == "stderr" else "stdout"))

    def stub(self, kind: Callable[[grpc.Channel], Any]) -> Any:
        """The client (``kind`` makes it).  Raises ProviderError when the process did not start."""
        with self._lock:
            if self._stub is None:
                assert self.process.stdout is not None
                line = self.process.stdout.readline().strip()
                if not line.isdigit():
                    self.close()
                    self._reader.join(1)
                    reason = "".join(self._errors).strip() or f"it said {line!r} instead of its port"
                    raise ProviderError(f"{self._what} did not start: {reason}")
                self._channel = grpc.insecure_channel(f"127.0.0.1:{line}", options=channel_options)
                self._stub = kind(self._channel)
                threading.Thread(target=self._pass_on, args=("stdout",), daemon=True).start()
            return self._stub

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        self.process.kill()  # it holds nothing that has to be put away
        self.process.wait()
