"""A real chain with our contracts, new for each module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from berth.chain import anvil, seed
from berth.chain.anvil import Anvil
from berth.chain.endpoint import Endpoint


@pytest.fixture(scope="module")
def chain() -> Iterator[Anvil]:
    if not anvil.binary.exists():
        pytest.fail("Anvil is not installed: `make setup` installs it")
    with Anvil("--gas-limit", "1000000000") as running:
        yield running


@pytest.fixture(scope="module")
def endpoint(chain: Anvil) -> Endpoint:
    return chain.endpoint()


@pytest.fixture(scope="module")
def contracts(endpoint: Endpoint) -> seed.Contracts:
    return seed.deploy(endpoint)
