"""Looks every second whether interface, WireGuard and firewall are there, and has them put back.

What peers had a session is remembered, so that after an interface was made anew the node speaks to them first:
a client by itself learns only after 15 s that the node forgot it.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Final, Protocol

from berth.kit.logging import get_logger
from berth.vpn.errors import NodeError

_sessions_every: Final = 2.0  # seconds
_kept: Final = 3  # of what was read so: whoever lost the session just before the last is in the ones before it
_join: Final = 5.0


class Sessions(Protocol):
    """What :class:`~berth.vpn.wireguard.WireGuard` offers here."""

    def sessions(self) -> str: ...

    def wake(self, sessions: Iterable[str]) -> int: ...


class Healer:
    """Runs ``checks`` every ``every`` seconds in a thread of its own; NodeError of one has ``repair`` called.

    ``repair`` gets the reason, and puts back all that is amiss, peers included; it logs what it cannot mend.
    """

    def __init__(
        self,
        checks: Sequence[Callable[[], object]],
        repair: Callable[[str], None],
        peers: Sessions,
        every: float = 1.0,
    ) -> None:
        self._checks, self._repair, self._peers, self._every = checks, repair, peers, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="heal", daemon=True)
        self._sessions: deque[str] = deque(maxlen=_kept)
        self._remembered = float("-inf")
        self.repairs = 0
        """How often something had to be put back."""
        self._log = get_logger("heal")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, and waits for it: nothing is put back any more that is taken away on purpose."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(_join)

    def look(self) -> bool:
        """Once: whether all was well.  Has it put back where it was not."""
        try:
            for check in self._checks:
                check()
        except NodeError as fault:
            self.repairs += 1
            self._log.warning("putting back what is amiss", reason=str(fault))
            self.repair(str(fault))
            return False
        self._remember()
        return True

    def repair(self, reason: str) -> None:
        """Has all put back that is amiss, and calls whoever lost the session by it."""
        started = time.monotonic()
        self._repair(reason)
        self._wake()
        self._log.info("looked after what was amiss", seconds=round(time.monotonic() - started, 3))

    def _remember(self) -> None:
        if time.monotonic() - self._remembered < _sessions_every:
            return
        try:
            self._sessions.appendleft(self._peers.sessions())
            self._remembered = time.monotonic()
        except NodeError as error:
            # The next look says what is amiss.
            self._log.debug("sessions cannot be read", reason=str(error))

    def _wake(self) -> None:
        try:
            woken = self._peers.wake(tuple(self._sessions))
        except NodeError as error:
            self._log.warning("peers with a session could not be called", reason=str(error))
        else:
            if woken:
                self._log.info("called the peers that had a session", peers=woken)

    def _run(self) -> None:
        while not self._stop.wait(self._every):
            try:
                self.look()
            except Exception:  # noqa: BLE001 - without this thread nothing is put back any more
                self._log.exception("what is amiss could not be looked after")
