"""KeyRegistry against a model of it in Python, over random histories."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from tests.unit.contracts.conftest import World
from tests.unit.contracts.evm import key, page

TOKENS = 3
KEYS = 3
QUARANTINE = 40
MAX_SLOTS = 8

tokens = st.integers(1, TOKENS)
people = st.integers(0, 2)


@dataclass
class Bound:
    token: int
    holder: str
    number: int
    slot: int


class Model:
    """What the registry should know: the contract's rules, written down once more, without its data structures."""

    def __init__(self) -> None:
        self.now = 0
        self.owner: dict[int, str] = {}
        self.rental: dict[int, tuple[str, int]] = {}
        self.expiry: dict[int, int] = {}
        self.bound: dict[int, Bound] = {}
        self.resting: deque[tuple[int, int]] = deque()
        self.slots = 0
        self.window: dict[int, tuple[int, int]] = {}

    def holder(self, token: int) -> str:
        user, end = self.rental.get(token, ("", 0))
        return user if self.now < end else self.owner[token]

    def expired(self, token: int) -> bool:
        end = self.expiry.get(token, 0)
        return end != 0 and end <= self.now

    def counts(self, bound: Bound) -> bool:
        return self.holder(bound.token) == bound.holder and not self.expired(bound.token)

    def free(self, token: int) -> None:
        self.resting.append((self.now + QUARANTINE, self.bound.pop(token).slot))

    def take(self, token: int) -> int:
        start, taken = self.window.get(token, (0, 0))
        self.window[token] = (self.now, 1) if self.now >= start + QUARANTINE else (start, taken + 1)
        if self.resting and self.resting[0][0] <= self.now:
            return self.resting.popleft()[1]
        self.slots += 1
        return self.slots

    def refusal(self, token: int, number: int, by: str) -> str | None:
        """Why a registration is refused."""
        if by != self.holder(token):
            return "NotHolder"
        if self.expired(token):
            return "PassExpired"
        if any(b.number == number and b.token != token and self.counts(b) for b in self.bound.values()):
            return "KeyTaken"
        start, taken = self.window.get(token, (0, 0))
        keeps = token in self.bound and self.bound[token].holder == by
        if not keeps and taken == MAX_SLOTS and self.now < start + QUARANTINE:
            return "TooManySlots"
        return None

    def register(self, token: int, number: int, by: str) -> None:
        for other in [b.token for b in self.bound.values() if b.number == number and b.token != token]:
            self.free(other)
        if token in self.bound and self.bound[token].holder == by:
            self.bound[token].number = number
            return
        slot = self.take(token)
        if token in self.bound:
            self.free(token)
        self.bound[token] = Bound(token, by, number, slot)


class Histories(RuleBasedStateMachine):
    world: World

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self.undone: AbstractContextManager[None] = self.world.evm.undone()

    @initialize(lives=st.lists(st.sampled_from([0, 60, 200]), min_size=TOKENS, max_size=TOKENS))
    def mint(self, lives: list[int]) -> None:
        self.undone.__enter__()
        self.evm, self.passes = self.world.evm, self.world.passes
        self.people = [self.world.alice, self.world.bob, self.world.carol]
        self.registry = self.evm.deploy("KeyRegistry", self.passes.address, False, QUARANTINE)
        for token, life in enumerate(lives, 1):
            if life:
                self.model.expiry[token] = self.evm.now + life
                self.world.mint_until(self.people[0], self.model.expiry[token])
            else:
                self.world.mint(self.people[0])
            self.model.owner[token] = self.people[0]

    def send(self, call: Any, by: str) -> None:
        self.evm.send(call, by)
        self.model.now = self.evm.now

    @rule(token=tokens, number=st.integers(1, KEYS), mostly=st.booleans(), other=people)
    def register(self, token: int, number: int, mostly: bool, other: int) -> None:
        # What a transaction sees is one second later than the newest block: look at both from the same second.
        self.evm.travel(self.evm.now + 1)
        self.model.now = self.evm.now
        by = self.model.holder(token) if mostly else self.people[other]
        refusal = self.model.refusal(token, number, by)
        call = self.registry.functions.register(token, key(number))
        if refusal is not None:
            assert self.evm.refusal(call, by)[0] == refusal
            return
        self.model.now += 1
        if self.model.refusal(token, number, by) is None:
            self.send(call, by)
            self.model.register(token, number, by)
        else:
            self.model.now -= 1

    @rule(token=tokens, to=people)
    def sell(self, token: int, to: int) -> None:
        seller = self.model.owner[token]
        self.send(self.passes.functions.transferFrom(seller, self.people[to], token), seller)
        self.model.owner[token] = self.people[to]
        if self.people[to] != seller:
            self.model.rental.pop(token, None)

    @rule(token=tokens, user=people, term=st.integers(2, 60))
    def rent(self, token: int, user: int, term: int) -> None:
        end = self.evm.now + term
        self.send(self.passes.functions.setUser(token, self.people[user], end), self.model.owner[token])
        self.model.rental[token] = (self.people[user], end)

    @rule(token=tokens)
    def revoke(self, token: int) -> None:
        call = self.registry.functions.revoke(token)
        if token not in self.model.bound:
            assert self.evm.refusal(call, self.people[0])[0] == "NoBinding"
            return
        self.send(call, self.model.bound[token].holder)
        self.model.free(token)

    @rule(token=tokens, by=people)
    def reclaim(self, token: int, by: int) -> None:
        call = self.registry.functions.reclaim(token)
        if token not in self.model.bound:
            assert self.evm.refusal(call, self.people[by])[0] == "NoBinding"
        elif self.model.counts(self.model.bound[token]):
            assert self.evm.refusal(call, self.people[by])[0] == "BindingCounts"
        else:
            self.model.now = self.evm.now + 1
            if self.model.counts(self.model.bound[token]):  # a rental ends in that very second
                self.model.now -= 1
                return
            self.send(call, self.people[by])
            self.model.free(token)

    @rule(seconds=st.integers(1, 2 * QUARANTINE))
    def wait(self, seconds: int) -> None:
        self.evm.travel(self.evm.now + seconds)
        self.model.now = self.evm.now

    @invariant()
    def the_list_is_the_model_s(self) -> None:
        if not self.model.owner:
            return
        self.model.now = self.evm.now
        found = page(self.registry)
        expected = {
            (b.token, b.holder, key(b.number), b.slot) for b in self.model.bound.values() if self.model.counts(b)
        }
        assert {peer[:4] for peer in found.peers} == expected
        assert found.total == self.model.slots
        slots = [b.slot for b in self.model.bound.values()] + [slot for _, slot in self.model.resting]
        assert sorted(slots) == list(range(1, self.model.slots + 1))
        assert len({peer.key for peer in found.peers}) == len(found.peers)

    def teardown(self) -> None:
        if self.model.owner:
            self.undone.__exit__(None, None, None)


@pytest.fixture
def histories(world: World) -> Iterator[type[Histories]]:
    Histories.world = world
    yield Histories
    del Histories.world


def test_random_histories(histories: type[Histories]) -> None:
    # Few and long, and always the same ones: each step is a transaction on a real EVM.
    run_state_machine_as_test(
        histories,
        settings=settings(
            max_examples=8,
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            database=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
