"""State that cannot grow, whoever asks."""

from __future__ import annotations

import pytest

from berth.access.api import bounded
from berth.access.api.bounded import Expiring, Full, Rate


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_entry_is_taken_once() -> None:
    kept: Expiring[int] = Expiring(10, 5)
    kept.put("a", 1)
    assert (kept.take("a"), kept.take("a"), kept.take("b")) == (1, None, None)


def test_an_entry_expires_to_the_second() -> None:
    clock = Clock()
    kept: Expiring[int] = Expiring(10, 5, clock)
    kept.put("a", 1)
    kept.put("b", 2)
    clock.now += 9.99
    assert kept.take("a") == 1
    clock.now += 0.01
    assert ("b" in kept, kept.take("b"), len(kept)) == (False, None, 0)


def test_there_is_room_again_when_the_first_expires() -> None:
    clock = Clock()
    kept: Expiring[int] = Expiring(10, 2, clock)
    kept.put("a", 1)
    clock.now += 4
    kept.put("b", 2)
    with pytest.raises(Full) as full:
        kept.put("c", 3)
    assert full.value.seconds == 6
    clock.now += 6
    kept.put("c", 3)
    assert (kept.take("a"), kept.take("b"), kept.take("c")) == (None, 2, 3)


def test_a_rate_is_a_burst_and_then_even() -> None:
    clock = Clock()
    rate = Rate(6, clock)
    assert [rate.take("a") for _ in range(7)] == [0] * 6 + [10]
    assert rate.take("b") == 0
    clock.now += 4
    assert rate.take("a") == pytest.approx(6)
    clock.now += 6
    assert rate.take("a") == 0
    assert rate.take("a") == pytest.approx(10)
    clock.now += 3600
    assert [rate.take("a") for _ in range(7)].count(0) == 6


def test_callers_are_forgotten_and_not_kept_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounded, "callers_kept", 3)
    rate = Rate(1, Clock())
    for name in "abcd":
        assert rate.take(name) == 0
    assert rate.take("d") > 0
    assert rate.take("a") == 0, "the one not seen for longest was forgotten"
