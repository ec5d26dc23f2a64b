"""Phases and time of a lease: tables, and a state machine that races everything with everything."""

from __future__ import annotations

import re
from itertools import pairwise, product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from berth.leases import model
from berth.leases.model import Illegal, Lease, Phase, extended, new_id, new_name, paused, resumed
from berth.leases.store.leases import ended
from tests.unit.leases.samples import day, lease, now

allowed = {
    "requested": "creating expiring deleting",
    "creating": "ready expiring deleting",
    "ready": "paused expiring deleting",
    "paused": "ready expiring deleting",
    "expiring": "deleting",
    "deleting": "deleting gone",
    "gone": "",
}


@pytest.mark.parametrize(("before", "after"), list(product(Phase, Phase)))
def test_moves(before: Phase, after: Phase) -> None:
    one = lease(before)
    if after in allowed[before].split():
        moved = one.to(after)
        assert (moved.phase, moved.generation) == (after, one.generation + 1)
    else:
        with pytest.raises(Illegal):
            one.to(after)


@pytest.mark.parametrize("phase", [p for p in Phase if p is not Phase.gone])
def test_it_can_be_deleted_in_every_phase(phase: Phase) -> None:
    assert lease(phase).to(Phase.deleting).phase is Phase.deleting


def test_extending_moves_the_end_and_warns_anew() -> None:
    grown = extended(lease(warned=(60,)), 300, day, now)
    assert (grown.expires.at, grown.lifetime, grown.warned) == (now + 900, 900, ())


@pytest.mark.parametrize(
    ("seconds", "longest", "reason"),
    [(601, 1200, "limit-reached"), (0, 1200, "ending"), (-5, 1200, "ending")],
)
def test_extending_too_far(seconds: float, longest: float, reason: str) -> None:
    with pytest.raises(Illegal) as refused:
        extended(lease(), seconds, longest, now)
    assert refused.value.reason == reason


def test_never_past_the_hard_maximum() -> None:
    with pytest.raises(Illegal):
        extended(lease(hard=now + 700), 200, day, now)


def test_pausing_keeps_what_is_left() -> None:
    held = paused(lease(), 120, now + 480)
    assert held.expires.at == held.hard, "a paused lease ends at the hard maximum"
    again = resumed(held, now + 10_000)
    assert again.expires.at == now + 10_120
    assert again.paused_seconds == 10_000 - 480
    late = resumed(held, held.hard - 5)
    assert late.expires.at == held.hard


def test_pausing_what_does_not_run() -> None:
    for phase in set(Phase) - {Phase.ready}:
        with pytest.raises(Illegal):
            paused(lease(phase), 1, now)


def test_gone_gives_everything_back() -> None:
    gone = ended(lease(Phase.deleting, slot=3, user_slot=1, subnet=9, sole="alice"), now)
    assert (gone.slot, gone.user_slot, gone.subnet, gone.sole) == (None, None, None, None)
    assert not gone.is_live


def test_ids_sort_by_time() -> None:
    ids = [new_id(now + n / 1000) for n in range(200)]
    assert all(a < b for a, b in pairwise(ids))
    assert all(re.fullmatch(r"[0-9a-hjkmnp-tv-z]{26}", one) for one in ids)


@pytest.mark.parametrize("of", ["alice", "A.b_c", "-", "", "x" * 80, "0x" + "a" * 40, "ümläut"])
def test_names_are_dns_labels(of: str) -> None:
    name = new_name(of)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,28}[a-z0-9])?", name), name
    assert name != new_name(of), "a name is never used twice"


class Races(RuleBasedStateMachine):
    """Two who act on one lease, each on what it read last, as processes do; MongoDB's compare-and-set decides."""

    def __init__(self) -> None:
        super().__init__()
        self.stored = lease(Phase.requested)
        self.read = {"a": self.stored, "b": self.stored}
        self.time = now
        self.promised = self.stored.expires.at
        self.endings = 0

    def swap(self, who: str, after: Lease) -> bool:
        won = self.stored.generation == self.read[who].generation
        if won:
            if after.phase is Phase.gone:
                self.endings += 1
            if after.phase is Phase.ready or (after.phase is self.stored.phase and after.phase in model.alive):
                self.promised = after.expires.at
            self.stored = after
        self.read[who] = self.stored
        return won

    @rule(who=st.sampled_from("ab"))
    def look(self, who: str) -> None:
        self.read[who] = self.stored

    @rule(who=st.sampled_from("ab"), phase=st.sampled_from([Phase.creating, Phase.ready, Phase.deleting]))
    def move(self, who: str, phase: Phase) -> None:
        if model.may(self.read[who].phase, phase) and not (
            phase is Phase.ready and self.read[who].phase is Phase.paused
        ):
            self.swap(who, self.read[who].to(phase))

    @rule(who=st.sampled_from("ab"), seconds=st.floats(1, 5000))
    def extend(self, who: str, seconds: float) -> None:
        before = self.read[who]
        if before.phase is not Phase.paused and before.expires.at <= self.time:
            return  # the desk refuses what is over
        try:
            after = extended(before, seconds, day, self.time)
        except Illegal:
            return
        self.swap(who, after)

    @rule(who=st.sampled_from("ab"))
    def expire(self, who: str) -> None:
        before = self.read[who]
        if before.phase in model.alive and before.expires.at <= self.time:
            won = self.swap(who, before.to(Phase.expiring, ended_by="expired"))
            assert not won or self.promised <= self.time, "it ended before the end that was promised last"

    @rule(who=st.sampled_from("ab"))
    def pause_or_resume(self, who: str) -> None:
        before = self.read[who]
        if before.phase is Phase.ready:
            self.swap(who, paused(before, max(0.0, before.expires.at - self.time), self.time))
        elif before.phase is Phase.paused:
            self.swap(who, resumed(before, self.time))

    @rule(who=st.sampled_from("ab"))
    def finish(self, who: str) -> None:
        if self.read[who].phase is Phase.deleting:
            self.swap(who, ended(self.read[who], self.time))

    @rule(seconds=st.floats(0, 20_000))
    def wait(self, seconds: float) -> None:
        self.time += seconds

    @invariant()
    def it_ends_once_and_never_later_than_the_maximum(self) -> None:
        assert self.endings <= 1
        assert self.stored.expires.at <= self.stored.hard
        assert self.stored.lifetime <= day
        if self.stored.phase is Phase.gone:
            assert self.stored.slot is None


TestRaces = Races.TestCase
TestRaces.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
