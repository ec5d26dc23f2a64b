"""A log as it is written: over a WebSocket, and after a break from where it was."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from typing import Any, Final
from urllib.parse import urlencode

from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus, InvalidURI, WebSocketException
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from berth.kit.client import Unreachable, refusal
from berth.leases.client.service import LeaseService

_most_pause: Final = 15.0  # seconds between tries
_patience: Final = 120.0  # seconds without a connection


def follow(
    service: LeaseService,
    identifier: str,
    role: str = "",
    after: str = "",
    *,
    told: Callable[[str], None] = lambda _: None,
    patience: float = _patience,
) -> Iterator[dict[str, Any]]:
    """The records (``LogLine``) of a lease's log from after a cursor on, until one of type ``end``.

    A connection that breaks is made again behind the last record, so that none is lost or doubled; ``told`` hears of
    it.  Errors: ApiRefused, Unreachable after ``patience`` seconds without a connection.
    """
    since, attempt = time.monotonic(), 0
    while True:
        try:
            for record in _records(service, identifier, role, after):
                since, attempt = time.monotonic(), 0
                after = record["cursor"]
                yield record
                if record["type"] == "end":
                    return
            reason = "the log was cut off"
        except (ConnectionClosed, OSError, WebSocketException) as error:
            reason = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if time.monotonic() - since > patience:
            raise Unreachable(f"the log of {identifier} at {service.url} cannot be followed: {reason}")
        attempt += 1
        told(f"connection lost ({reason}); going on after {after or 'the beginning'}")
        time.sleep(min(_most_pause, 0.25 * 2**attempt) * random.uniform(0.5, 1))


def _records(service: LeaseService, identifier: str, role: str, after: str) -> Iterator[dict[str, Any]]:
    """Those of one connection."""
    query = {name: value for name, value in (("after", after), ("role", role)) if value}
    url = f"ws{service.url.removeprefix('http')}/ws/logs/{identifier}" + (f"?{urlencode(query)}" if query else "")
    try:
        with connect(
            url,
            additional_headers=service.caller.headers,
            subprotocols=[Subprotocol("berth")],
            max_size=2**22,
            open_timeout=10,
            close_timeout=2,
            proxy=None,
        ) as socket:
            for message in socket:
                record = json.loads(message)
                if record.get("type") == "error":
                    raise refusal(record, int(record.get("status", 400)))
                yield record
    except InvalidStatus as error:
        status = error.response.status_code
        if status in (502, 503, 504):
            raise
        raise refusal({"detail": f"the log of {identifier} is refused (HTTP {status})"}, status) from None
    except (InvalidURI, InvalidHandshake) as error:
        raise Unreachable(f"what answers at {url} speaks no WebSocket: {error}") from None
