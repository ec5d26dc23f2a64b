"""KeyRegistry against a model of it in Python, over random histories."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.unit.contracts.conftest import World
from tests.unit.contracts.evm import key, page

TOKENS = 3
KEYS = 3
QUARANTINE = 40
MAX_SLOTS = 8
STEPS = 50
MOVES = ["register"] * 7 + ["sell"] * 3 + ["revoke", "reclaim", "rent", "wait"]


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


class History:
    """One random history, lived by the contract and by the model."""

    def __init__(self, world: World, lives: list[int]) -> None:
        self.evm, self.passes = world.evm, world.passes
        self.model = Model()
        self.people = [world.alice, world.bob, world.carol]
        self.registry = self.evm.deploy("KeyRegistry", self.passes.address, False, QUARANTINE)
        self.seen: Counter[str] = Counter()
        for token, life in enumerate(lives, 1):
            self.model.owner[token] = self.people[0]
            if life:
                self.model.expiry[token] = self.evm.now + life
                world.mint_until(self.people[0], self.model.expiry[token])
            else:
                world.mint(self.people[0])

    def live(self, move: str, token: int, number: int) -> None:
        """One move; `number` is whatever else the move needs, 0 to 11."""
        # The model speaks of the second in which the transaction is mined.
        self.model.now = self.evm.now + 1
        getattr(self, move)(token, number)
        self.check()

    def settle(self, call: Any, by: str, refusal: str | None) -> bool:
        """Send, and see that it is refused exactly when the model says so. True when it was not."""
        self.seen[refusal or "done"] += 1
        if refusal is None:
            self.evm.send(call, by)
            assert self.evm.now == self.model.now
            return True
        self.evm.travel(self.model.now)
        assert self.evm.refusal(call, by)[0] == refusal
        return False

    def register(self, token: int, number: int) -> None:
        by = self.model.holder(token) if number < 10 else self.people[number % 3]
        number %= KEYS
        call = self.registry.functions.register(token, key(number))
        if self.settle(call, by, self.model.refusal(token, number, by)):
            self.model.register(token, number, by)

    def sell(self, token: int, number: int) -> None:
        seller, buyer = self.model.owner[token], self.people[number % 3]
        self.evm.send(self.passes.functions.transferFrom(seller, buyer, token), seller)
        self.model.owner[token] = buyer
        if buyer != seller:
            self.model.rental.pop(token, None)

    def rent(self, token: int, number: int) -> None:
        user, end = self.people[number % 3], self.evm.now + 2 + 4 * number
        self.evm.send(self.passes.functions.setUser(token, user, end), self.model.owner[token])
        self.model.rental[token] = (user, end)

    def revoke(self, token: int, number: int) -> None:
        bound = self.model.bound.get(token)
        by = bound.holder if bound else self.people[0]
        if self.settle(self.registry.functions.revoke(token), by, None if bound else "NoBinding"):
            self.model.free(token)

    def reclaim(self, token: int, number: int) -> None:
        bound = self.model.bound.get(token)
        refusal = "NoBinding" if bound is None else "BindingCounts" if self.model.counts(bound) else None
        if self.settle(self.registry.functions.reclaim(token), self.people[number % 3], refusal):
            self.model.free(token)

    def wait(self, token: int, number: int) -> None:
        self.evm.travel(self.evm.now + 1 + number * QUARANTINE // 8)

    def check(self) -> None:
        """The list, the rows and the slots are the model's; slots and keys are unique."""
        self.model.now = self.evm.now
        found = page(self.registry)
        counting = [b for b in self.model.bound.values() if self.model.counts(b)]
        expected = {(b.token, b.holder, key(b.number), b.slot) for b in counting}
        assert {peer[:4] for peer in found.peers} == expected
        assert len({peer.key for peer in found.peers}) == len({peer.slot for peer in found.peers}) == len(counting)
        assert found.total == self.model.slots
        slots = [b.slot for b in self.model.bound.values()] + [slot for _, slot in self.model.resting]
        assert sorted(slots) == list(range(1, self.model.slots + 1))


def test_random_histories(world: World) -> None:
    seen: Counter[str] = Counter()
    moves = st.tuples(st.sampled_from(MOVES), st.integers(1, TOKENS), st.integers(0, 11))

    # Few and long, and always the same ones: each step is a transaction on a real EVM.
    @settings(max_examples=4, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(
        lives=st.lists(st.sampled_from([0, 0, 120]), min_size=TOKENS, max_size=TOKENS),
        steps=st.lists(moves, min_size=STEPS, max_size=STEPS),
    )
    def run(lives: list[int], steps: list[tuple[str, int, int]]) -> None:
        with world.evm.undone():
            history = History(world, lives)
            for step in steps:
                history.live(*step)
            seen.update(history.seen)

    run()
    assert seen.keys() >= {"done", "NotHolder", "KeyTaken", "NoBinding", "BindingCounts"}, "too tame to find anything"
