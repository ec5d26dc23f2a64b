"""When the reaper takes a container, from whatever it knows."""

from __future__ import annotations

import pytest

from berth.leases.model import Lease, Phase
from berth.leases.reaper.verdict import Known, verdict
from berth.leases.store.journal import Entry
from tests.unit.leases.samples import Steady, day, lease, now

grace = 10.0
running = {"berth.lease": "x", "berth.lease.until": str(int(now + 2 * day))}
past = {"berth.lease": "x", "berth.lease.until": str(int(now - 60))}


def ended(seconds_ago: float, clock: Steady) -> Lease:
    return lease(expires=clock.after(-seconds_ago))


@pytest.mark.parametrize(
    ("what", "labels", "answered", "record", "entry", "deleting_for", "goes"),
    [
        ("runs", running, True, -60, None, 0, False),
        ("just over: the manager's turn", running, True, 5, None, 0, False),
        ("overdue", running, True, 11, None, 0, True),
        ("no record: nothing is removed for want of data", running, True, None, 60, 0, False),
        ("no MongoDB, the journal says it runs", running, False, None, -60, 0, False),
        ("no MongoDB, the journal says it is over", running, False, None, 11, 0, True),
        ("no MongoDB and no journal", running, False, None, None, 0, False),
        ("nothing known, past the maximum", past, False, None, None, 0, True),
        ("no record, past the maximum", past, True, None, None, 0, True),
        ("being deleted", running, True, "deleting", None, 5, False),
        ("stuck in deleting", running, True, "deleting", None, 11, True),
        ("came up when it was gone", running, True, "gone", None, 11, True),
        ("an unreadable label", {"berth.lease": "x", "berth.lease.until": "soon"}, True, -60, None, 0, False),
    ],
)
def test_verdicts(
    what: str, labels: dict[str, str], answered: bool, record: float | str | None, entry: float | None,
    deleting_for: float, goes: bool,
) -> None:  # fmt: skip
    clock = Steady()
    if isinstance(record, str):
        stored: Lease | None = lease(Phase(record), expires=clock.after(600))
    else:
        stored = None if record is None else ended(record, clock)
    noted = None if entry is None else Entry("x", clock.after(-entry), now + day)
    assert bool(verdict(labels, Known(answered, stored, noted), clock, grace, deleting_for)) is goes, what


def test_a_clock_that_was_set_by_days_passes_no_maximum_of_what_is_known() -> None:
    clock = Steady()
    stored, noted = lease(expires=clock.after(600)), Entry("x", clock.after(600), now + day)
    clock.step(3 * day)
    assert verdict(running, Known(True, stored), clock, grace, 0) is None
    assert verdict(running, Known(False, None, noted), clock, grace, 0) is None
    assert verdict(running, Known(True), clock, grace, 0), "of what nobody knows, the label is all there is"


def test_a_clock_that_was_set_makes_nobody_overdue() -> None:
    clock = Steady()
    stored = lease(expires=clock.after(600))
    clock.step(3600)
    assert verdict(running, Known(True, stored), clock, grace, 0) is None
