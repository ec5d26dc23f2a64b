"""Whether all peers of the interface are those that should be there, looked at after every change and now and then.

A change is read back by key alone (:func:`berth.vpn.reconcile.apply_changes`); this finds what nobody asked for.
It compares two fingerprints: of the interface, taken by another process, and of what should be there, kept up with
each change.  So it takes this interpreter next to no time, whatever the number of peers.

Changes go on meanwhile, and may never pause.  So each part of the fingerprint may be what was wanted of it at any
moment since the audit began: one look at the interface decides, however often its peers change.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from berth.access.diff import Changes
from berth.access.tunnel import Subnets
from berth.kit.logging import get_logger
from berth.vpn.errors import NodeError
from berth.vpn.fingerprint import Fingerprint, Parts

_settle: Final = 0.1  # seconds until a difference is looked at again: a change may be under way
_between: Final = 0.7  # seconds at least from one audit to the next, or many changes would mean as many audits
_join: Final = 5.0


class Fingerprinted(Protocol):
    """What :class:`~berth.vpn.wireguard.WireGuard` offers here."""

    def fingerprint(self) -> Parts: ...


class Wanted:
    """The peers that should be there; safe to call from several threads."""

    def __init__(self, subnets: Subnets) -> None:
        self._subnets = subnets
        self._lock = threading.Lock()
        self._fingerprint = Fingerprint()
        self._since: list[set[str]] = []

    def reset(self, peers: Mapping[str, str]) -> None:
        """These (key -> address) and no others."""
        fresh = Fingerprint()
        for key, address in peers.items():
            fresh.put(key, self._subnets.allowed(address))
        with self._lock:
            self._fingerprint = fresh
            self._note()

    def change(self, changes: Changes) -> None:
        """What was there with these changes; O(1) for each of them."""
        with self._lock:
            for key in changes.remove:
                self._fingerprint.remove(key)
            for key, address in {**changes.move, **changes.add}.items():
                self._fingerprint.put(key, self._subnets.allowed(address))
            self._note()

    def snapshot(self) -> Parts:
        """The fingerprint that the interface should have now."""
        with self._lock:
            return self._fingerprint.parts()

    def remember(self) -> None:
        """From now on, remember what was wanted, for :meth:`unlike`."""
        with self._lock:
            self._since = [{part} for part in self._fingerprint.parts()]

    def forget(self) -> None:
        """The opposite: nobody asks."""
        with self._lock:
            self._since = []

    def unlike(self, found: Parts) -> set[int]:
        """The parts of ``found`` that are as was wanted at no moment since :meth:`remember`."""
        with self._lock:
            return {part for part, wanted in enumerate(self._since) if found[part] not in wanted}

    def _note(self) -> None:
        for wanted, part in zip(self._since, self._fingerprint.parts() if self._since else (), strict=True):
            wanted.add(part)


class Auditor:
    """Compares in a thread of its own, and has ``repair`` (told why) called where the peers are not as they should be.

    ``repair`` looks once more while no change is under way, and says whether there was something to repair.
    ``every``: seconds from one audit to the next where nothing changes; within one second of :meth:`poke`.
    """

    def __init__(self, peers: Fingerprinted, wanted: Wanted, repair: Callable[[str], bool], every: float = 2.0) -> None:
        self._peers, self._wanted, self._repair, self._every = peers, wanted, repair, every
        self._poked, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="audit", daemon=True)
        self._fault = ""
        self.seconds = 0.0
        """How long the last audit took."""
        self.count = 0
        """How many there were."""
        self.differences = 0
        """How many found the peers changed."""
        self._log = get_logger("audit")

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, and waits for it."""
        self._stop.set()
        self._poked.set()
        if self._thread.is_alive():
            self._thread.join(_join)

    def poke(self) -> None:
        """Something changed: audit soon."""
        self._poked.set()

    def check(self) -> str:
        """For health reports; NodeError where the peers could not be audited."""
        if self._fault:
            raise NodeError(f"the peers cannot be audited: {self._fault}")
        return f"{self.count} audits, the last took {self.seconds * 1000:.0f} ms"

    def audit(self) -> bool:
        """Once: whether the peers were as they should be.  Repairs them where they were not, twice in a row."""
        self._wanted.remember()
        try:
            return self._sound() or not self._repaired()
        finally:
            self._wanted.forget()

    def _sound(self) -> bool:
        found = self._take()
        if not self._wanted.unlike(found):
            return True
        # A change that is under way is none made by hand: soon it is wanted, or undone.
        if self._stop.wait(_settle):
            return True
        again = self._take()
        return not self._wanted.unlike(found) & self._wanted.unlike(again)

    def _take(self) -> Parts:
        started = time.perf_counter()
        found = self._peers.fingerprint()
        self.seconds, self.count = time.perf_counter() - started, self.count + 1
        return found

    def _repaired(self) -> bool:
        repaired = self._repair("the peers were changed by someone else")
        self.differences += repaired
        return repaired

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self.audit()
            except Exception as error:  # noqa: BLE001 - without this thread nobody looks any more
                if not self._fault:
                    trace = None if isinstance(error, NodeError) else error
                    self._log.warning("the peers cannot be audited", reason=str(error), exc_info=trace)
                self._fault = str(error) or type(error).__name__
            else:
                self._fault = ""
            if self._stop.wait(_between):
                return
            self._poked.wait(max(self._every - _between, 0))
            self._poked.clear()
