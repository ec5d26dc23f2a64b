"""The list on a real chain: who registers is on it, who sells is not, and old blocks keep saying what they said."""

from __future__ import annotations

from ipaddress import IPv4Network

import pytest

from berth.access.errors import BlockGone, CallFailed, ChainUnreachable, NoContract, OlderBlock, WrongChain
from berth.access.model import AccessList, Block
from berth.access.read import read_access_list
from berth.access.tunnel import address_of
from berth.chain import anvil, dev
from berth.chain.anvil import Anvil, accounts_key
from berth.chain.endpoint import Endpoint, TimeLimits
from berth.chain.errors import TransactionFailed
from berth.chain.key_registry import KeyRegistry, key_bytes
from berth.chain.node_registry import NodeRegistry
from berth.chain.seed import Contracts, deploy, holder_of, public_key_of, seed
from berth.chain.transactions import Limits, Sender, TooDear

pytestmark = pytest.mark.chain
subnet = IPv4Network("10.77.0.0/16")


def read(endpoint: Endpoint, contracts: Contracts, block: Block | None = None) -> AccessList:
    return read_access_list(endpoint, contracts.key_registry, subnet, block)


def member(endpoint: Endpoint, contracts: Contracts) -> tuple[dev.Wallet, int, str]:
    """A fresh wallet with funds, a pass and a registered key."""
    wallet, key = dev.Wallet.fresh(), dev.fresh_public_key()
    dev.fund(endpoint, wallet.address)
    token = dev.mint(endpoint, contracts.access_pass, accounts_key, wallet.address)
    dev.register(endpoint, contracts.key_registry, wallet.key, token, key)
    return wallet, token, key


def test_registering_a_key_gives_access_and_selling_takes_it(endpoint: Endpoint, contracts: Contracts) -> None:
    wallet, token, key = member(endpoint, contracts)
    before = read(endpoint, contracts)
    entry = before.by_token[token]
    assert (entry.owner, entry.key) == (wallet.address, key)

    dev.transfer(endpoint, contracts.access_pass, wallet.key, dev.Wallet.fresh().address, token)
    assert token not in read(endpoint, contracts).by_token
    # The block that was read stays readable by its hash, and says the same.
    assert read(endpoint, contracts, before.block) == before


def test_a_holder_without_funds_only_signs(endpoint: Endpoint, contracts: Contracts) -> None:
    wallet, key = dev.Wallet.fresh(), dev.fresh_public_key()
    token = dev.mint(endpoint, contracts.access_pass, accounts_key, wallet.address)
    dev.register_for(endpoint, contracts.key_registry, accounts_key, wallet.key, token, key)
    assert read(endpoint, contracts).by_token[token].owner == wallet.address
    assert KeyRegistry(endpoint, contracts.key_registry).nonce(wallet.address) == 1


def test_a_pass_expires_by_itself(endpoint: Endpoint, contracts: Contracts) -> None:
    wallet, key = dev.Wallet.fresh(), dev.fresh_public_key()
    now = int(endpoint.request("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
    token = dev.mint(endpoint, contracts.access_pass, accounts_key, wallet.address, expires=now + 1000)
    dev.register_for(endpoint, contracts.key_registry, accounts_key, wallet.key, token, key)
    assert token in read(endpoint, contracts).by_token
    dev.advance(endpoint, 1001)
    assert token not in read(endpoint, contracts).by_token


def test_revoking_and_reclaiming(endpoint: Endpoint, contracts: Contracts) -> None:
    wallet, token, _ = member(endpoint, contracts)
    dev.revoke(endpoint, contracts.key_registry, wallet.key, token)
    assert token not in read(endpoint, contracts).by_token
    with pytest.raises(TransactionFailed, match=rf"KeyRegistry\.reclaim was refused: NoBinding\({token}\)"):
        KeyRegistry(endpoint, contracts.key_registry).reclaim(Sender(endpoint, accounts_key), token)


def test_a_refusal_says_what_the_contract_said(endpoint: Endpoint, contracts: Contracts) -> None:
    _, _, key = member(endpoint, contracts)
    wallet, token, _ = member(endpoint, contracts)
    with pytest.raises(TransactionFailed, match=r"KeyRegistry\.register was refused: KeyTaken\(0x"):
        dev.register(endpoint, contracts.key_registry, wallet.key, token, key)


def test_mined_blocks_do_not_change_the_digest(endpoint: Endpoint, contracts: Contracts) -> None:
    before = read(endpoint, contracts)
    dev.mine(endpoint, 3)
    after = read(endpoint, contracts)
    assert after.block.number == before.block.number + 3
    assert after.digest == before.digest


def test_many_passes_in_few_calls() -> None:
    with Anvil("--gas-limit", "1000000000") as fresh:
        endpoint = fresh.endpoint()
        contracts = deploy(endpoint)
        seed(endpoint, contracts, range(1, 1201))
        before = endpoint.calls
        access = read(endpoint, contracts)
        assert endpoint.calls - before == 3
        assert [entry.token for entry in access.entries] == list(range(1, 1201))
        for token in (1, 1000, 1001, 1200):
            entry = access.by_token[token]
            assert (entry.owner, entry.key) == (holder_of(token), public_key_of(token))
        assert {entry.address for entry in access.entries} == {address_of(subnet, n) for n in range(1, 1201)}


def test_a_call_without_enough_gas_is_halved() -> None:
    """Anvil gives a call the gas of a block: too little here for all rows at once."""
    with Anvil("--gas-limit", "1000000000") as fresh:
        endpoint = fresh.endpoint()
        contracts = deploy(endpoint)
        seed(endpoint, contracts, range(1, 601))
        expected = read(endpoint, contracts)
        endpoint.request("evm_setBlockGasLimit", hex(5_000_000))
        dev.mine(endpoint)
        before = endpoint.calls
        access = read(endpoint, contracts)
        assert access.digest == expected.digest
        assert endpoint.calls - before > 2


def test_wrong_chain_id(chain: Anvil, contracts: Contracts) -> None:
    with pytest.raises(WrongChain, match=r"serves chain 31337, but the stack is set to chain 8453"):
        read(Endpoint(chain.url, 8453), contracts)


def test_no_code(endpoint: Endpoint) -> None:
    nowhere = "0x" + "12" * 20
    with pytest.raises(NoContract, match=rf"no contract at {nowhere} on chain 31337"):
        read_access_list(endpoint, nowhere, subnet)


def test_another_contract_at_the_address(endpoint: Endpoint, contracts: Contracts) -> None:
    with pytest.raises(CallFailed, match="Is the contract there a KeyRegistry"):
        read_access_list(endpoint, contracts.access_pass, subnet)


def test_a_block_that_never_was(endpoint: Endpoint, contracts: Contracts) -> None:
    with pytest.raises(BlockGone):
        read(endpoint, contracts, Block(1, "0x" + "12" * 32))


def test_a_block_that_was_rolled_back(endpoint: Endpoint, contracts: Contracts) -> None:
    snapshot = endpoint.request("evm_snapshot")
    dev.mine(endpoint, 2)
    gone = endpoint.block()
    endpoint.request("evm_revert", snapshot)
    with pytest.raises(BlockGone):
        read(endpoint, contracts, gone)
    with pytest.raises(OlderBlock):
        read_access_list(endpoint, contracts.key_registry, subnet, not_before=gone)


def test_a_chain_that_stops_is_told_in_time(contracts: Contracts) -> None:
    with Anvil() as fresh:
        endpoint = Endpoint(fresh.url, anvil.chain_id, TimeLimits(connect=1, call=1))
        endpoint.check_chain()
    with pytest.raises(ChainUnreachable, match="is the chain running there"):
        read(endpoint, contracts)


def test_nodes(endpoint: Endpoint, contracts: Contracts) -> None:
    registry, sender = NodeRegistry(endpoint, contracts.node_registry), Sender(endpoint, accounts_key)
    assert registry.nodes() == ()
    key = dev.fresh_public_key()
    registry.allow(sender, "node-1", sender.address)
    registry.announce(sender, "node-1", key, "192.0.2.1:51820", "local")
    (node,) = registry.nodes()
    assert (node.id, node.account, node.key, node.endpoint) == ("node-1", sender.address, key, "192.0.2.1:51820")
    with pytest.raises(TransactionFailed, match="NodeNotAllowed"):
        registry.announce(sender, "node-2", key, "192.0.2.1:51820", "local")
    registry.disallow(sender, "node-1")
    assert registry.nodes() == ()


def test_what_is_asked_about_single_passes(endpoint: Endpoint, contracts: Contracts) -> None:
    (wallet, token, key), (_, other, _) = member(endpoint, contracts), member(endpoint, contracts)
    registry = KeyRegistry(endpoint, contracts.key_registry)
    at = endpoint.block()
    first, second = registry.peers_of([other, 10**40, token], at)
    assert (first.token, second.token, second.key, second.holder) == (other, token, key, wallet.address)
    assert registry.peers_of([]) == ()
    assert (registry.token_of(key), registry.token_of(dev.fresh_public_key())) == (token, None)
    assert registry.slot_of(token) == second.slot
    assert registry.slot_of(10**40) == 0
    assert registry.collection() == contracts.access_pass
    assert [registry.flag(name) for name in ("delegates", "rentable", "expiring")] == [False, True, True]

    dev.transfer(endpoint, contracts.access_pass, wallet.key, dev.Wallet.fresh().address, token)
    assert registry.holder_of(token) != wallet.address == registry.holder_of(token, at)
    assert registry.peers_of([token]) == ()


def test_a_refusal_carries_the_contracts_own_error(endpoint: Endpoint, contracts: Contracts) -> None:
    _, _, key = member(endpoint, contracts)
    wallet = dev.Wallet.fresh()
    token = dev.mint(endpoint, contracts.access_pass, accounts_key, wallet.address)
    dev.fund(endpoint, wallet.address)
    for attempt in (Sender(endpoint, wallet.key).simulate, Sender(endpoint, wallet.key).send):
        with pytest.raises(TransactionFailed, match="KeyTaken") as refused:
            attempt("KeyRegistry", contracts.key_registry, "register", token, key_bytes(key))
        assert (refused.value.error, refused.value.arguments[0]) == ("KeyTaken", key_bytes(key))


@pytest.mark.parametrize(("limits", "says"), [(Limits(gas=100_000), "gas"), (Limits(fee=1), "gwei")])
def test_what_is_too_dear_is_not_sent(endpoint: Endpoint, contracts: Contracts, limits: Limits, says: str) -> None:
    wallet = dev.Wallet.fresh()
    token = dev.mint(endpoint, contracts.access_pass, accounts_key, wallet.address)
    dev.fund(endpoint, wallet.address)
    sender = Sender(endpoint, wallet.key, limits)
    with pytest.raises(TooDear, match=says):
        sender.send("KeyRegistry", contracts.key_registry, "register", token, key_bytes(dev.fresh_public_key()))
    assert KeyRegistry(endpoint, contracts.key_registry).slot_of(token) == 0


def test_what_is_offered_for_gas_is_never_more_than_the_limit(endpoint: Endpoint, contracts: Contracts) -> None:
    """The base fee may rise until it is mined: what is offered above today's price is bounded as well."""
    base = int(endpoint.request("eth_getBlockByNumber", "latest", False)["baseFeePerGas"], 16)
    tip = int(endpoint.request("eth_maxPriorityFeePerGas"), 16)
    wallet = dev.Wallet.fresh()
    dev.fund(endpoint, wallet.address)
    limit = base + tip + 1
    sent = Sender(endpoint, wallet.key, Limits(fee=limit)).send_raw(wallet.address, b"", "nothing")
    assert int(endpoint.request("eth_getTransactionByHash", sent.hash)["maxFeePerGas"], 16) <= limit
