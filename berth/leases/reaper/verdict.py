"""Whether a container's time is over, from whatever is known of its lease.  Pure.

The manager removes leases.  The reaper removes what the manager did not, some seconds later, whether or not there is a
manager.  It decides by the best source that answers: MongoDB, else the journal, else the hard maximum on the
container's own label.  Nothing is removed early for want of data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from berth.leases.clock import Clock
from berth.leases.model import Lease, Phase
from berth.leases.names import lease_label, until_label
from berth.leases.store.journal import Entry


@dataclass(frozen=True)
class Known:
    """What there is to know of one lease; ``answered``: whether MongoDB did."""

    answered: bool
    record: Lease | None = None
    entry: Entry | None = None


def verdict(labels: Mapping[str, str], known: Known, clock: Clock, grace: float, deleting_for: float) -> str | None:
    """Why it has to go, or None.  ``deleting_for``: seconds since the reaper first saw the lease end."""
    if known.record is not None:
        return _by_record(known.record, clock, grace, deleting_for)
    if known.entry is not None and not known.answered:
        over = clock.left(known.entry.deadline) < -grace
        return "its time was over by the journal, and MongoDB does not answer" if over else None
    # In unix seconds alone, so that a clock that was set counts: only where nothing else is known.
    until = labels.get(until_label, "")
    if until.isdigit() and clock.wall() > int(until) + grace:
        return "it is past the hard maximum on its label"
    return None


def ending(known: Known) -> bool:
    """Whether the lease is meant to be going by now."""
    return known.record is not None and known.record.phase in (Phase.deleting, Phase.gone)


def lease_of(labels: Mapping[str, str]) -> str:
    """The lease's id."""
    return labels.get(lease_label, "")


def _by_record(lease: Lease, clock: Clock, grace: float, deleting_for: float) -> str | None:
    if lease.phase in (Phase.deleting, Phase.gone):
        return "it was to be removed, and is still there" if deleting_for > grace else None
    if clock.left(lease.expires) < -grace:
        return "its time was over, and nobody removed it"
    return None
