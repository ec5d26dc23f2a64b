"""The chain and the contracts that these tests share. Each test starts from the same state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from web3.contract import Contract

from tests.unit.contracts.evm import Evm, key

QUARANTINE = 3_600


@dataclass(frozen=True)
class World:
    """One pass collection with its registry, and people: nobody but the operator owns anything."""

    evm: Evm
    passes: Contract
    registry: Contract
    operator: str
    alice: str
    bob: str
    carol: str
    relay: str

    def mint(self, to: str) -> int:
        """A new pass for `to`; the answer is its token id."""
        self.evm.send(self.passes.functions.mint(to), self.operator)
        return int(self.passes.functions.totalSupply().call())

    def mint_until(self, to: str, expires: int) -> int:
        self.evm.send(self.passes.functions.mintUntil(to, expires), self.operator)
        return int(self.passes.functions.totalSupply().call())

    def sell(self, token: int, seller: str, buyer: str) -> None:
        self.evm.send(self.passes.functions.transferFrom(seller, buyer, token), seller)

    def rent(self, token: int, owner: str, user: str, expires: int) -> None:
        self.evm.send(self.passes.functions.setUser(token, user, expires), owner)

    def register(self, token: int, by: str, number: int) -> int:
        """Bind key `number`; the answer is the slot."""
        self.evm.send(self.registry.functions.register(token, key(number)), by)
        return int(self.registry.functions.slotOf(token).call())


@pytest.fixture(scope="session")
def chain() -> Evm:
    return Evm()


@pytest.fixture(scope="session")
def deployed(chain: Evm) -> World:
    operator, alice, bob, carol, relay = chain.accounts[:5]
    passes = chain.deploy("AccessPass", "Berth Pass", "BERTH", operator)
    registry = chain.deploy("KeyRegistry", passes.address, True, QUARANTINE)
    return World(chain, passes, registry, operator, alice, bob, carol, relay)


@pytest.fixture
def world(deployed: World) -> Iterator[World]:
    with deployed.evm.undone():
        yield deployed


@pytest.fixture
def evm(chain: Evm) -> Iterator[Evm]:
    with chain.undone():
        yield chain
