"""From a list to its peers: against a model that starts anew each time, and case by case where removals wait."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from berth.access.current import CurrentList, Update, meet
from berth.access.errors import InconsistentList
from berth.access.model import Entry, digest_of, peers_digest
from berth.access.peering import Peering
from berth.access.policy import Breaker, BreakerRule, Freshness, Pending
from tests.unit.vpn.fakes import block, key, owner

never = BreakerRule(share=100)


def entry(token: int, name: str = "", host: int = 0, expires: int = 0, by: str = owner) -> Entry:
    return Entry(token, by, key(name or token), f"10.77.0.{host or token + 1}", expires)


def test_who_is_listed_is_a_peer_until_its_term_is_over() -> None:
    peering = Peering(key("node"), Breaker(never))
    entries = [entry(1), entry(2, expires=100), entry(3, name="node"), entry(4, expires=50)]
    plan = peering.plan((), entries, now=60)
    assert set(plan.changes.add) == {key(1), key(2)}
    peering.done(plan, entries, now=60)
    assert peering.due(60) == [(50, 4)]
    assert peering.next_due() == 100
    assert peering.due(99.9) == []
    (due,) = peering.due(100)
    over = peering.plan([entries[1]], [entries[1]], now=100)
    assert (due, set(over.changes.remove)) == ((100, 2), {key(2)})


steps = st.lists(
    st.tuples(
        st.integers(1, 8),  # token
        st.sampled_from(["put", "drop", "key", "time"]),
        st.integers(0, 3),
    ),
    max_size=30,
)


@settings(deadline=None)
@given(steps, st.booleans())
def test_step_by_step_is_what_a_fresh_look_gives(found: list[tuple[int, str, int]], trips: bool) -> None:
    """Once nobody is held any more, where removals may have to wait."""
    breaker = Breaker(BreakerRule(share=20, at_least=1, wait=2) if trips else never)
    current, peering, now = CurrentList(1, owner, block(0)), Peering(key("node"), breaker), 1000.0
    for number, (token, what, value) in enumerate(found, 1):
        if what == "time":
            now += value
            due = [current.entries[t] for _, t in peering.due(now) if t in current.entries]
            peering.done(peering.plan(due, due, now), (), now)
        else:
            old = [current.entries[token]] if token in current.entries else []
            expires = int(now) + value if value else 0
            new = (
                [] if what == "drop" else [entry(token, f"{token}/{number}" if what == "key" else "", expires=expires)]
            )
            current.change(Update(block(number), tuple(new), (token,) if not new else ()))
            peering.done(peering.plan(old, new, now), new, now)
        if breaker.overdue(now):
            peering.done(peering.plan_release(now), (), now)
            breaker.let_go(list(breaker.held))
        fresh = {e.key: e.address for e in current.entries.values() if peering.wants(e, now)}
        assert breaker.held.keys() <= peering.peers.keys()
        assert len(set(peering.peers.values())) == len(peering.peers)
        if not breaker.tripped:
            assert peering.peers == fresh
        if trips:
            continue
        assert peering.digest == peers_digest(fresh)
        assert current.digest == digest_of(current.entries.values())


def test_an_update_and_what_undoes_it() -> None:
    current = CurrentList(1, owner, block(1))
    current.change(Update(block(2), (entry(1), entry(2))))
    before = (dict(current.entries), current.digest, current.block)
    undo = current.change(Update(block(3), (entry(1, "other"), entry(3)), (2,), block(4)))
    assert (current.block, current.removals) == (block(3), block(4))
    current.change(undo)
    assert (dict(current.entries), current.digest, current.block) == before
    assert current.removals is None


def test_a_key_may_pass_from_one_token_to_another_but_not_be_at_both() -> None:
    current = CurrentList(1, owner, block(1))
    current.change(Update(block(2), (entry(1, "k"), entry(2))))
    for update in (
        Update(block(3), (entry(3, "k"),)),
        Update(block(3), (entry(3, "n"), entry(4, "n"))),
    ):
        with pytest.raises(InconsistentList):
            current.change(update)
    assert current.block == block(2)
    current.change(Update(block(3), (entry(3, "k"),), (1,)))
    assert set(current.entries) == {2, 3}


def test_an_address_is_never_given_twice() -> None:
    peering = Peering(key("node"), Breaker(never))
    peering.done(peering.plan((), [entry(1)], 0), [entry(1)])
    with pytest.raises(InconsistentList, match="two keys"):
        peering.plan((), [entry(2, host=2)], 0)
    moved = peering.plan([entry(1)], [entry(1, host=9), entry(2, host=2)], 0)
    assert moved.changes.move == {key(1): "10.77.0.9"}
    assert moved.changes.add == {key(2): "10.77.0.2"}


@pytest.mark.parametrize(
    ("added", "kept", "expires"),
    [
        (entry(1), None, None),
        (None, entry(1), None),
        (entry(1), entry(1, "other"), None),
        (entry(1), entry(1), 0),
        (entry(1, expires=5), entry(1), 5),
        (entry(1), entry(1, expires=7), 7),
        (entry(1, expires=5), entry(1, expires=7), 5),
        (entry(1, expires=9), entry(1, expires=7), 7),
    ],
)
def test_what_two_blocks_have(added: Entry | None, kept: Entry | None, expires: int | None) -> None:
    both = meet(added, kept)
    assert (both.expires if both else None) == expires


# ---------------------------------------------------------------- the breaker


class Held:
    """Ten peers, and a breaker that trips above half of them."""

    def __init__(self, expires: int = 0, **rule: Any) -> None:
        self.peering = Peering(key("node"), Breaker(BreakerRule(**{"share": 50, "at_least": 3, "wait": 60, **rule})))
        self.entries = [entry(token, expires=expires) for token in range(1, 11)]
        self.go((), self.entries, 0)

    def go(self, old: Any, new: Any, now: float) -> set[str]:
        plan = self.peering.plan(old, new, now)
        self.peering.done(plan, new, now, f"incident-{now:g}")
        return set(plan.changes.remove)

    @property
    def breaker(self) -> Breaker:
        return self.peering.breaker


def test_a_few_may_go_and_many_wait() -> None:
    held = Held()
    assert len(held.go(held.entries[:5], (), 1)) == 5
    fresh = Held()
    assert fresh.go(fresh.entries[:6], (), 1) == set()
    assert len(fresh.breaker.held) == 6
    assert len(fresh.peering.peers) == 10
    assert not fresh.breaker.overdue(60.9)
    assert fresh.breaker.overdue(61)


def test_many_small_removals_within_a_minute_are_one() -> None:
    held = Held()
    gone = [len(held.go([one], (), second)) for second, one in enumerate(held.entries[:7])]
    assert gone == [1, 1, 1, 1, 1, 0, 0]
    assert len(held.breaker.held) == 2
    slow = Held()
    assert sum(len(slow.go([one], (), second * 61)) for second, one in enumerate(slow.entries[:7])) == 7


def test_fewer_than_the_least_never_wait() -> None:
    held = Held(at_least=11)
    assert len(held.go(held.entries, (), 1)) == 10


def test_while_it_waits_who_comes_comes_and_who_returns_waits_no_longer() -> None:
    held = Held()
    held.go(held.entries[:6], (), 1)
    held.go((), [entry(20)], 2)
    assert key(20) in held.peering.peers
    held.go((), [held.entries[0]], 3)
    assert key(1) not in held.breaker.held
    assert len(held.breaker.held) == 5
    # What goes now waits with the rest, until the same deadline.
    assert held.go([entry(20)], (), 30) == set()
    assert held.breaker.deadline == 61
    released = held.peering.plan_release(61)
    held.peering.done(released, (), 61)
    held.breaker.let_go(list(held.breaker.held))
    assert held.breaker.as_dict()["state"] == "closed"
    assert len(held.peering.peers) == 5


def test_new_keys_for_all_are_a_mass_removal_and_wait_for_the_addresses_of_the_old() -> None:
    """However often they change meanwhile, whoever signs for it, and over a restart."""
    held = Held()
    new = [replace(one, key=key(f"new {one.token}")) for one in held.entries]
    before = dict(held.peering.peers)
    assert held.go(held.entries, new, 1) == set()
    newer = [replace(one, key=key(f"newer {one.token}")) for one in held.entries]
    assert held.go(new, newer, 2) == set()
    assert held.peering.peers == before
    assert held.breaker.held == before
    again = Peering(key("node"), Breaker(held.breaker.rule, held.breaker.pending))
    again.done(again.plan(newer, newer, 3), newer, 3)
    assert again.peers == before
    for peering in (held.peering, again):
        plan = peering.plan_release(61)
        peering.done(plan, (), 61)
        assert peering.peers == {one.key: one.address for one in newer}
        assert not peering.breaker.tripped


def test_new_keys_one_by_one_are_one_mass_removal_within_a_minute() -> None:
    held = Held()
    new = [replace(one, key=key(f"new {one.token}")) for one in held.entries]
    gone = [len(held.go([one], [other], 1)) for one, other in zip(held.entries, new, strict=True)]
    assert sum(gone) == 5
    never_trips = Held(share=100)
    for one, other in zip(never_trips.entries, new, strict=True):
        assert len(never_trips.go([one], [other], 1)) == 1


def test_who_waits_for_an_address_comes_when_its_holder_has_another() -> None:
    held = Held()
    new = [replace(one, key=key(f"new {one.token}")) for one in held.entries]
    held.go(held.entries, new, 1)
    held.go((), [replace(held.entries[0], token=77, address="10.77.5.5")], 2)
    assert held.peering.peers[new[0].key] == "10.77.0.2"
    assert held.peering.peers[key(1)] == "10.77.5.5"
    assert key(1) not in held.breaker.held
    # Who no longer is listed waits for nothing.
    held.go([new[1]], (), 3)
    held.peering.done(held.peering.plan_release(61), (), 61)
    assert new[1].key not in held.peering.peers
    assert new[2].key in held.peering.peers


def test_who_moves_to_an_address_that_is_held_keeps_its_own() -> None:
    held = Held()
    mover, heir = held.entries[9], entry(40, host=11)
    assert (mover.address, heir.address) == ("10.77.0.11", "10.77.0.11")
    held.go(held.entries[:6], [], 1)
    held.go([mover], [replace(mover, token=1, address="10.77.0.2"), heir], 2)
    assert held.peering.peers[mover.key] == "10.77.0.11"
    assert heir.key not in held.peering.peers
    held.peering.done(held.peering.plan_release(61), (), 61)
    assert (held.peering.peers[mover.key], held.peering.peers[heir.key]) == ("10.77.0.2", "10.77.0.11")


def test_terms_that_end_as_they_always_were_to_are_no_mass_removal() -> None:
    for dropped in (False, True):  # by a block of that second, before this node's clock said so
        held = Held(expires=50)
        assert len(held.go(held.entries, () if dropped else held.entries, 50)) == 10
    longer = Held(expires=50)
    prolonged = [replace(one, expires=70) for one in longer.entries]
    longer.go(longer.entries, prolonged, 49)
    assert len(longer.go(prolonged, prolonged, 70)) == 10


@pytest.mark.parametrize("first", [0, 1000])
@pytest.mark.parametrize("dropped", [False, True])
def test_terms_that_were_cut_short_are_a_mass_removal(first: int, dropped: bool) -> None:
    held = Held(expires=first)
    short = [replace(one, expires=50) for one in held.entries]
    held.go(held.entries, short, 48)
    again = Peering(key("node"), Breaker(held.breaker.rule, held.breaker.pending))
    again.done(again.plan((), short, 49), short, 49)
    for peering in (held.peering, again):
        plan = peering.plan(short, () if dropped else short, 50)
        assert (len(plan.hold), plan.changes.remove) == (10, {})


def test_a_term_that_was_cut_short_and_given_back_is_as_it_was() -> None:
    held = Held(expires=50)
    short = [replace(one, expires=20) for one in held.entries]
    held.go(held.entries, short, 1)
    assert held.breaker.pending is not None
    held.go(short, held.entries, 2)
    assert held.breaker.pending is None
    assert len(held.go(held.entries, held.entries, 50)) == 10


def test_what_waits_outlives_a_restart() -> None:
    held = Held()
    held.go(held.entries[:6], (), 1)
    pending = held.breaker.pending
    assert isinstance(pending, Pending)
    again = Peering(key("node"), Breaker(held.breaker.rule, pending))
    assert again.peers == dict(pending.held)
    assert again.breaker.overdue(61)
    again.done(again.plan((), held.entries[6:], 2), held.entries[6:], 2)
    assert len(again.peers) == 10


def test_a_list_too_old_puts_everybody_out_whoever_is_held_too() -> None:
    held = Held()
    held.go(held.entries[:6], (), 1)
    assert len(held.peering.plan_closing().changes.remove) == 10


@pytest.mark.parametrize(
    ("policy", "age", "old", "closes"),
    [("fail-closed", 10, False, False), ("fail-closed", 11, True, True), ("keep", 11, True, False)],
)
def test_how_long_a_list_is_believed(policy: Any, age: float, old: bool, closes: bool) -> None:
    freshness = Freshness(10, policy)
    assert (freshness.too_old(age), freshness.closes(age)) == (old, closes)
