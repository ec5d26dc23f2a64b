"""Time that neither steps nor ends with a restart.

The wall clock may be set while a lease runs; then its hour must not become two, or none.  So a deadline is kept twice:
in unix seconds, and on the clock that counts from the boot of this machine (Linux' CLOCK_BOOTTIME, the same in every
container).  While the machine is up the second one rules; after a reboot the first.
"""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import Final

from berth.leases.model import Deadline, Lease

_jitter_seconds: Final = 1.0  # of two clocks that are read one after the other, and set a little all the time
_boot_id: Final = Path("/proc/sys/kernel/random/boot_id")


class Clock:
    """Seconds.  Tests step it by overriding :meth:`wall` and :meth:`mark`."""

    def __init__(self) -> None:
        self.boot = _boot_id.read_text().strip()

    def wall(self) -> float:
        """Unix seconds, as the machine has them now."""
        return time.time()

    def mark(self) -> float:
        """Since boot, suspended time included."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def deadline(self, at: float) -> Deadline:
        """The moment ``at`` (unix seconds) on both clocks."""
        return Deadline(at, self.boot, self.mark() + at - self.wall())

    def after(self, seconds: float) -> Deadline:
        """The moment in so many seconds."""
        return Deadline(self.wall() + seconds, self.boot, self.mark() + seconds)

    def left(self, deadline: Deadline) -> float:
        """Seconds until then, below 0 once it is past."""
        if deadline.boot == self.boot:
            return deadline.mark - self.mark()
        return deadline.at - self.wall()

    def rebased(self, lease: Lease) -> Lease:
        """The lease with its times in unix seconds as the wall clock counts now: it may have been set since then.

        What follows from a change is computed from these, and a later end must not become an early one.
        """
        shift = self.shown(lease.expires) - lease.expires.at
        if lease.expires.boot != self.boot or abs(shift) < _jitter_seconds:
            return lease
        moved = Deadline(lease.expires.at + shift, self.boot, lease.expires.mark)
        paused_at = None if lease.paused_at is None else lease.paused_at + shift
        return replace(lease, expires=moved, hard=lease.hard + shift, paused_at=paused_at)

    def shown(self, deadline: Deadline) -> float:
        """The moment in unix seconds as the wall clock counts now."""
        return self.wall() + self.left(deadline)
