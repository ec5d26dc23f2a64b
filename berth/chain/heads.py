"""New heads of one endpoint: by a WebSocket subscription, and by asking now and then where there is none.

A subscription may fall silent without ever closing, so the endpoint is asked as well, only less often.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from typing import Any, Final

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from berth.chain.endpoint import Endpoint, Header, shown_url
from berth.chain.errors import ChainError, ChainUnreachable
from berth.kit.logging import get_logger

_first_wait, _longest_wait = 0.5, 30.0  # seconds between attempts to subscribe
_open_within: Final = 5.0
_message_limit: Final = 2**20  # bytes; a head is about 1 KiB
_ping_every: Final = 10.0

Hear = Callable[[Endpoint, Header, float], None]
"""Gets the endpoint, its new head, and when it came (``time.perf_counter``); must not block."""


def websocket_url(url: str) -> str:
    """``http`` -> ``ws``, ``https`` -> ``wss``: where most endpoints have it."""
    return "ws" + url.removeprefix("http") if url.startswith("http") else url


def backoff(attempt: int, draw: Callable[[], float] = random.random) -> float:
    """Seconds to wait before attempt number ``attempt`` (from 0), with jitter, so that many nodes come one by one."""
    return float(min(_first_wait * 2 ** min(attempt, 16), _longest_wait) * (0.5 + draw() / 2))


class Heads:
    """Tells ``hear`` of each new head of ``endpoint``.

    ``ws_url`` "" for none.  ``poll``: seconds between questions while there is no subscription; ``watch``: while
    there is one.
    """

    def __init__(self, endpoint: Endpoint, ws_url: str, hear: Hear, poll: float = 1.0, watch: float = 5.0) -> None:
        self.endpoint, self._ws_url, self._hear = endpoint, ws_url, hear
        self._poll, self._watch = poll, watch
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._connection: ClientConnection | None = None
        self._threads: list[threading.Thread] = []
        self._log = get_logger("heads")
        self.subscribed = False
        self.fault = ""
        """Why the endpoint could not be asked last; "" where it could."""

    def start(self) -> None:
        """Begin, in threads of their own."""
        targets = [("poll", self._asking)] + ([("subscribe", self._subscribing)] if self._ws_url else [])
        for name, target in targets:
            thread = threading.Thread(target=target, name=f"heads-{name}", daemon=True)
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        """End both threads; returns at once."""
        self._stop.set()
        self._wake.set()
        connection = self._connection
        if connection is not None:
            connection.close_socket() if hasattr(connection, "close_socket") else connection.close()

    def join(self, timeout: float = 2.0) -> None:
        """Wait until they have ended."""
        for thread in self._threads:
            thread.join(timeout)

    # ------------------------------------------------------------------ by asking

    def _asking(self) -> None:
        while not self._stop.is_set():
            self.ask()
            self._wake.wait(self._watch if self.subscribed else self._poll)
            self._wake.clear()

    def ask(self) -> None:
        """Ask once."""
        received = time.perf_counter()
        try:
            self.endpoint.check_chain()
            head = self.endpoint.header()
        except ChainError as error:
            if not self.fault:
                self._log.warning("an endpoint does not answer", endpoint=self.endpoint.url, reason=str(error))
            self.fault = str(error)
            return
        if self.fault:
            self._log.info("an endpoint answers again", endpoint=self.endpoint.url, head=head.block.number)
        self.fault = ""
        self._hear(self.endpoint, head, received)

    # ------------------------------------------------------------------ by subscription

    def _subscribing(self) -> None:
        attempt = 0
        while not self._stop.is_set():
            began = time.monotonic()
            try:
                self._follow()
            except (OSError, WebSocketException, ChainUnreachable, TimeoutError) as error:
                reason = str(error) or type(error).__name__
            else:
                reason = "it was closed"
            was, self.subscribed, self._connection = self.subscribed, False, None
            if self._stop.is_set():
                return
            # What the subscription missed meanwhile is asked for at once.
            self._wake.set()
            attempt = 0 if was and time.monotonic() - began > _longest_wait else attempt + 1
            if was or attempt == 1:
                shown = shown_url(self._ws_url)
                reason = reason.replace(self._ws_url, shown)
                self._log.warning("no subscription to new heads, asking for them", url=shown, reason=reason)
            self._stop.wait(backoff(attempt))

    def _follow(self) -> None:
        with connect(
            self._ws_url,
            open_timeout=_open_within,
            close_timeout=1,
            max_size=_message_limit,
            ping_interval=_ping_every,
            ping_timeout=_ping_every,
            compression=None,
        ) as connection:
            self._connection = connection
            request = {"jsonrpc": "2.0", "id": 1, "method": "eth_subscribe", "params": ["newHeads"]}
            connection.send(json.dumps(request))
            answer = self._parse(connection.recv(timeout=_open_within))
            if not isinstance(answer.get("result"), str):
                raise ChainUnreachable(f"{shown_url(self._ws_url)} takes no subscription to new heads")
            self.subscribed = True
            self._wake.set()
            self._log.info("subscribed to new heads", url=shown_url(self._ws_url))
            while not self._stop.is_set():
                message = self._parse(connection.recv())
                received = time.perf_counter()
                if message.get("method") == "eth_subscription":
                    self._tell(message, received)

    def _tell(self, message: dict[str, Any], received: float) -> None:
        try:
            head = Header.parse(message["params"]["result"])
        except (KeyError, TypeError, ValueError) as error:
            raise ChainUnreachable(f"{shown_url(self._ws_url)} sent something else than a head: {error}") from None
        self._hear(self.endpoint, head, received)

    def _parse(self, text: str | bytes) -> dict[str, Any]:
        try:
            message = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            raise ChainUnreachable(f"{shown_url(self._ws_url)} does not speak JSON-RPC")
        return message
