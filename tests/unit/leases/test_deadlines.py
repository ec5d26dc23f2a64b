"""Timers of leases: what is due, in its order, and nothing of those that were set anew."""

from __future__ import annotations

from berth.leases.engine.deadlines import Deadlines
from tests.unit.leases.samples import Steady


def test_what_is_due_is_called_once_and_in_order() -> None:
    clock, called = Steady(), list[str]()
    timers = Deadlines(clock)
    for seconds, name in ((20, "second"), (10, "first"), (30, "third")):
        timers.set(name, "end", clock.after(seconds), lambda n=name: called.append(n))  # type: ignore[misc]
    timers.cancel("third")
    clock.pass_(25)
    timers.fire()
    timers.fire()
    assert called == ["first", "second"]
    assert not len(timers)


def test_a_timer_that_is_set_again_and_again_takes_no_more_room() -> None:
    clock, called = Steady(), list[int]()
    timers = Deadlines(clock)
    for turn in range(10_000):
        for lease in ("a", "b", "c"):
            timers.set(lease, "end", clock.after(86_400), lambda t=turn: called.append(t))  # type: ignore[misc]
    assert len(timers._heap) < 200
    clock.pass_(86_401)
    timers.fire()
    assert called == [9_999] * 3
