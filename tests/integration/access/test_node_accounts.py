"""Accounts and the allow-list of nodes against a real chain, called as Pulumi calls them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from berth.chain import dev
from berth.chain.anvil import Anvil, accounts_key
from berth.chain.endpoint import Endpoint
from berth.chain.errors import ChainUnreachable
from berth.chain.node_registry import NodeRegistry
from berth.chain.seed import Contracts
from berth.chain.transactions import Sender
from providers.account import AccountProvider, enough
from providers.node_allowance import NodeAllowanceProvider
from tests.integration.access.test_providers import configured

pytestmark = pytest.mark.chain
nobody = "http://127.0.0.1:9"


def balance(endpoint: Endpoint, address: str) -> int:
    return int(endpoint.request("eth_getBalance", address, "latest"), 16)


def test_an_account_is_filled_on_a_local_chain_and_again_when_it_is_empty(chain: Anvil, endpoint: Endpoint) -> None:
    provider = configured(AccountProvider(), {"rpcUrl": chain.url})
    inputs = {"address": dev.Wallet.fresh().address, "chainId": 31337.0}
    created = provider.create(inputs)
    assert (created.id, created.outs) == (inputs["address"], {**inputs, "funded": True})
    assert balance(endpoint, inputs["address"]) > enough
    assert provider.diff(created.id, created.outs or {}, inputs).changes is False

    # What transactions use changes nothing, so that an update of nothing stays one.
    dev.fund(endpoint, inputs["address"], enough)
    assert provider.read(created.id, created.outs or {}).outs == created.outs
    dev.fund(endpoint, inputs["address"], enough - 1)
    found = provider.read(created.id, created.outs or {})
    assert found.outs == {**inputs, "funded": False}
    assert provider.diff(created.id, found.outs or {}, inputs).changes is True
    assert (provider.update(created.id, found.outs or {}, inputs).outs or {})["funded"] is True
    assert balance(endpoint, inputs["address"]) > enough


def test_an_account_on_any_other_chain_is_only_looked_at(chain: Anvil, endpoint: Endpoint) -> None:
    provider = configured(AccountProvider(), {"mode": "external", "rpcUrl": chain.url})
    inputs = {"address": dev.Wallet.fresh().address, "chainId": 31337.0}
    created = provider.create(inputs)
    assert (created.outs or {})["funded"] is False
    assert balance(endpoint, inputs["address"]) == 0
    # Each update looks again, until somebody has filled it.
    assert provider.diff(created.id, created.outs or {}, inputs).changes is True
    dev.fund(endpoint, inputs["address"])
    assert (provider.update(created.id, created.outs or {}, inputs).outs or {})["funded"] is True


@pytest.fixture
def registry(endpoint: Endpoint, contracts: Contracts) -> NodeRegistry:
    return NodeRegistry(endpoint, contracts.node_registry)


def allowance(registry: NodeRegistry, node: str, account: str) -> dict[str, Any]:
    return {"node": node, "account": account, "registry": registry.address, "chainId": 31337.0}


def test_a_node_is_allowed_moved_and_taken_off(chain: Anvil, registry: NodeRegistry) -> None:
    provider = configured(NodeAllowanceProvider(), {"rpcUrl": chain.url})
    first, second = dev.Wallet.fresh().address, dev.Wallet.fresh().address
    inputs = allowance(registry, "node-7", first)
    created = provider.create(inputs)
    assert created.outs == {**inputs, "allowed": True}
    assert registry.account_of("node-7") == first
    assert accounts_key[2:] not in json.dumps(created.outs)
    assert provider.diff(created.id, created.outs or {}, inputs).changes is False
    height = registry.endpoint.block().number
    assert provider.create(inputs).outs == created.outs
    assert registry.endpoint.block().number == height, "nothing was sent the second time"

    moved = allowance(registry, "node-7", second)
    assert provider.diff(created.id, created.outs or {}, moved).changes is True
    assert (provider.update(created.id, created.outs or {}, moved).outs or {})["allowed"] is True
    assert registry.account_of("node-7") == second

    provider.delete(created.id, moved)
    assert registry.account_of("node-7") is None
    provider.delete(created.id, moved)


def test_what_somebody_else_allowed_is_shown_and_repaired(chain: Anvil, registry: NodeRegistry) -> None:
    provider = configured(NodeAllowanceProvider(), {"rpcUrl": chain.url})
    ours, other = dev.Wallet.fresh().address, dev.Wallet.fresh().address
    inputs = allowance(registry, "node-8", ours)
    created = provider.create(inputs)
    operator = Sender(registry.endpoint, accounts_key)
    for change, seen in (
        (lambda: registry.allow(operator, "node-8", other), other),
        (lambda: registry.disallow(operator, "node-8"), ""),
    ):
        change()
        found = provider.read(created.id, created.outs or {})
        assert found.outs == {**inputs, "account": seen, "allowed": False}
        assert (found.inputs or {})["account"] == seen
        assert provider.diff(created.id, found.outs or {}, inputs).changes is True
        assert (provider.update(created.id, found.outs or {}, inputs).outs or {})["allowed"] is True
        assert registry.account_of("node-8") == ours


def test_a_registry_of_somebody_else_is_only_read(chain: Anvil, endpoint: Endpoint, registry: NodeRegistry) -> None:
    stranger = dev.Wallet.fresh()
    dev.fund(endpoint, stranger.address)
    provider = configured(NodeAllowanceProvider(), {"rpcUrl": chain.url, "deployerKey": stranger.key})
    inputs = allowance(registry, "node-9", dev.Wallet.fresh().address)
    created = provider.create(inputs)
    assert (created.outs or {})["allowed"] is False
    assert registry.account_of("node-9") is None
    registry.allow(Sender(endpoint, accounts_key), "node-9", inputs["account"])
    assert provider.diff(created.id, created.outs or {}, inputs).changes is True
    assert (provider.update(created.id, created.outs or {}, inputs).outs or {})["allowed"] is True
    provider.delete(created.id, inputs)
    assert registry.account_of("node-9") == inputs["account"]


def test_taking_a_stack_down_does_not_need_a_local_chain_that_is_gone(registry: NodeRegistry) -> None:
    inputs = allowance(registry, "node-1", dev.Wallet.fresh().address)
    configured(NodeAllowanceProvider(), {"rpcUrl": nobody}).delete("allowance-node-1", inputs)
    external = configured(NodeAllowanceProvider(), {"mode": "external", "rpcUrl": nobody, "deployerKey": accounts_key})
    with pytest.raises(ChainUnreachable):
        external.delete("allowance-node-1", inputs)
