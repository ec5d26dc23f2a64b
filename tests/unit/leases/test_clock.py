"""Deadlines when clocks are set, and when the machine starts anew."""

from __future__ import annotations

from dataclasses import replace

import pytest

from berth.leases.clock import Clock
from berth.leases.engine.deadlines import Deadlines
from berth.leases.model import Deadline, extended, paused, resumed
from tests.unit.leases.samples import Steady, day, lease


@pytest.mark.parametrize("step", [-7200, 3600, 86_400])
def test_a_step_of_the_wall_clock_moves_no_deadline(step: float) -> None:
    clock = Steady()
    ends = clock.after(600)
    clock.step(step)
    assert clock.left(ends) == 600
    assert clock.shown(ends) == clock.wall() + 600
    clock.pass_(601)
    assert clock.left(ends) == -1


@pytest.mark.parametrize("step", [-7200, 3600, 3 * day])
def test_what_follows_from_times_of_another_clock_is_the_same(step: float) -> None:
    """Extended, paused and resumed after a step: what is left is what it would have been without."""
    clock = Steady()
    made = lease(expires=clock.after(600))
    clock.step(step)
    grown = extended(clock.rebased(made), 300, day, clock.wall())
    assert clock.left(clock.deadline(grown.expires.at)) == 900
    held = paused(clock.rebased(made), 600, clock.wall())
    assert clock.left(clock.deadline(held.expires.at)) == pytest.approx(2 * day)
    held = replace(held, expires=clock.deadline(held.expires.at))
    clock.step(step)
    going = resumed(clock.rebased(held), clock.wall())
    assert clock.left(clock.deadline(going.expires.at)) == 600
    assert going.paused_seconds == pytest.approx(0)


def test_a_clock_that_is_set_a_little_moves_nothing() -> None:
    clock = Steady()
    made = lease(expires=clock.after(600))
    clock.step(0.3)
    assert clock.rebased(made) is made


def test_after_a_reboot_the_wall_clock_rules() -> None:
    clock = Steady()
    ends = clock.after(600)
    later = Steady(clock.wall() + 100, mark=3)
    later.boot = "the next boot"
    assert later.left(ends) == 500


def test_the_machine_has_such_clocks() -> None:
    clock = Clock()
    assert len(clock.boot) == 36
    assert clock.left(clock.after(5)) == pytest.approx(5, abs=0.1)
    assert clock.left(clock.deadline(clock.wall() + 5)) == pytest.approx(5, abs=0.1)


def test_timers_fire_in_order_and_once() -> None:
    clock, fired = Steady(), list[str]()
    timers = Deadlines(clock)
    for name, seconds in [("b", 20), ("a", 10), ("c", 30)]:
        timers.set(name, "end", clock.after(seconds), lambda name=name: fired.append(name))  # type: ignore[misc]
    timers.set("c", "end", clock.after(5), lambda: fired.append("c, sooner"))
    timers.cancel("b")
    clock.pass_(100)
    timers.fire()
    timers.fire()
    assert fired == ["c, sooner", "a"]
    assert len(timers) == 0


def test_a_timer_waits_through_a_step() -> None:
    clock, fired = Steady(), list[str]()
    timers = Deadlines(clock)
    timers.set("x", "end", clock.after(60), lambda: fired.append("x"))
    clock.step(3600)
    assert timers.fire() == 60
    clock.pass_(60)
    timers.fire()
    assert fired == ["x"]


def test_setting_another_timer_from_a_timer() -> None:
    clock, fired = Steady(), list[str]()
    timers = Deadlines(clock)
    timers.set("x", "end", Deadline(0), lambda: timers.set("x", "end", Deadline(0), lambda: fired.append("second")))
    timers.fire()
    assert fired == ["second"]
