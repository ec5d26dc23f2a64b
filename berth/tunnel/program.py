"""Starts the forwarding program, and starts it anew where it ends."""

from __future__ import annotations

import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Final

from berth.kit.logging import get_logger
from berth.tunnel.errors import ProgramKeepsEnding
from berth.tunnel.settings import BridgeSettings, parts

_grace: Final = 4.0  # seconds that the program has to end its connections
_most_ends: Final = 5
_within: Final = 60.0  # seconds


def command(settings: BridgeSettings) -> list[str]:
    """The program and its arguments; a client end's list of endpoints is no part of them, others could see it."""
    return [str(settings.program), settings.bridge_end, *_arguments(settings)]


def _arguments(settings: BridgeSettings) -> Iterator[str]:
    def flag(name: str, value: object) -> str:
        return f"--{name}={value}"

    yield flag("control", settings.control_socket)
    yield flag("log-level", settings.log_level)
    yield flag("redact", str(settings.redact).lower())
    yield flag("nodelay", str(settings.nodelay).lower())
    yield flag("fwmark", settings.fwmark)
    yield flag("recv-buffer", settings.recv_buffer)
    yield flag("send-buffer", settings.send_buffer)
    yield flag("udp-buffer", settings.udp_buffer)
    if settings.tcp_recv_timeout is not None:
        yield flag("tcp-recv-timeout", settings.tcp_recv_timeout)
    yield flag("tcp-send-timeout", settings.tcp_send_timeout)
    yield flag("frame-timeout", settings.frame_timeout)
    yield flag("queue", settings.queue_bytes)
    if settings.bridge_end == "tcp2udp":
        yield from (flag("tcp-listen", address) for address in parts(settings.tcp_listen))
        yield flag("udp-forward", settings.udp_forward)
        yield from (flag("allow-target", target) for target in parts(settings.allow_targets))
        if settings.udp_bind:
            yield flag("udp-bind", settings.udp_bind)
        yield flag("max-connections", settings.max_connections)
        yield flag("max-per-address", settings.max_per_address)
        yield flag("first-timeout", settings.first_timeout)
        yield flag("answer-timeout", settings.answer_timeout)
        if settings.node_url:
            # Nobody is let in before the node has been seen to be well.
            yield "--closed"
    else:
        yield from (flag("udp-listen", address) for address in parts(settings.udp_listen))
        if settings.endpoints_file:
            yield flag("endpoints-file", settings.endpoints_file)
        yield flag("max-peers", settings.max_peers)
        yield flag("peer-idle", settings.peer_idle)
        yield flag("stall-timeout", settings.stall_timeout)
        yield flag("silent-timeout", settings.silent_timeout)
        yield flag("check-interval", settings.check_interval)
        yield flag("return-after", settings.return_after)
        yield flag("dial-timeout", settings.dial_timeout)
        yield from (flag("nudge", target) for target in parts(settings.nudge))


class Program:
    """The program as a child of this process, in a thread of its own that starts it anew where it ends.

    ``given_up`` is called when it ended too often; :meth:`check` says so too.
    """

    def __init__(self, arguments: list[str], given_up: Callable[[], None]) -> None:
        self._arguments, self._given_up = arguments, given_up
        self._child: subprocess.Popen[bytes] | None = None
        self._stopping = threading.Event()
        self._ends: deque[float] = deque(maxlen=_most_ends)
        self._fault: ProgramKeepsEnding | None = None
        self._log = get_logger("program")
        self._thread = threading.Thread(target=self._run, name="program", daemon=True)
        self.starts = 0

    def start(self) -> None:
        """Start it; OSError where it cannot be started at all."""
        self._launch()
        self._thread.start()

    def stop(self) -> None:
        """Let it end its connections, and wait for it."""
        self._stopping.set()
        child = self._child
        if child is not None and child.poll() is None:
            child.terminate()
            try:
                child.wait(_grace)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()

    @property
    def failed(self) -> ProgramKeepsEnding | None:
        """Why nobody starts it any more."""
        return self._fault

    def check(self) -> str:
        """For health: its process id; RuntimeError while it is not running."""
        if self._fault is not None:
            raise self._fault
        child = self._child
        if child is None or child.poll() is not None:
            raise RuntimeError("the forwarding program is not running")
        return f"process {child.pid}"

    def _launch(self) -> None:
        # Its lines go where ours go: standard output of the container.
        self._child = subprocess.Popen(self._arguments, stdin=subprocess.DEVNULL)
        self.starts += 1

    def _run(self) -> None:
        while True:
            assert self._child is not None
            status = self._child.wait()
            if self._stopping.is_set():
                return
            self._ends.append(time.monotonic())
            self._log.error("the forwarding program ended", status=status, starts=self.starts)
            if len(self._ends) == _most_ends and self._ends[-1] - self._ends[0] < _within:
                self._fault = ProgramKeepsEnding(f"the forwarding program ended {_most_ends} times in a minute")
                self._given_up()
                return
            if self._stopping.wait(0.1 * 2 ** (len(self._ends) - 1)):
                return
            self._launch()
