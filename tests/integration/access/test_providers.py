"""The dynamic providers against a real chain, called as Pulumi calls them."""

from __future__ import annotations

import base64
import json
from ipaddress import IPv4Network
from typing import Any, TypeVar

import pytest
from pulumi.dynamic import Config, ConfigureRequest, ResourceProvider
from pulumi.dynamic.dynamic import serialize_provider

from berth.access.errors import ListMoved, OlderBlock
from berth.access.read import read_access_list
from berth.access.receipt import Receipt
from berth.chain import create2, dev
from berth.chain.accounts import address_of
from berth.chain.anvil import Anvil, accounts_key
from berth.chain.artifacts import load
from berth.chain.endpoint import Endpoint
from berth.chain.errors import ChainUnreachable, NoContract, WrongChain
from berth.chain.seed import Contracts
from providers.access_list import AccessListProvider, inputs_of
from providers.contract import ContractProvider
from providers.settings import SettingsError

pytestmark = pytest.mark.chain
P = TypeVar("P", bound=ResourceProvider)


def configured(provider: P, chain: dict[str, Any]) -> P:
    config = {"berth:chain": json.dumps(chain), "berth:access": json.dumps({"tunnelSubnet": "10.77.0.0/16"})}
    provider.configure(ConfigureRequest(Config(config, "berth")))
    return provider


def pass_inputs(name: str = "berth pass") -> dict[str, Any]:
    args = {"name": name, "symbol": "BERTH", "owner": address_of(accounts_key)}
    address = create2.predicted_address(create2.init_code(load("AccessPass"), args))
    return {"name": "AccessPass", "args": args, "salt": create2.zero_salt, "chainId": 31337.0, "address": address}


def test_deploying_means_if_there_is_no_code(chain: Anvil, endpoint: Endpoint) -> None:
    provider = configured(ContractProvider(), {"rpcUrl": chain.url})
    inputs = pass_inputs("a name of its own")
    assert provider.read(inputs["address"], inputs).id == ""

    created = provider.create(inputs)
    assert created.id == inputs["address"]
    assert endpoint.code(created.id)
    height = endpoint.block().number
    assert provider.create(inputs).outs == created.outs
    assert endpoint.block().number == height, "nothing was sent the second time"

    found = provider.read(created.id, created.outs or {})
    assert (found.id, found.outs, found.inputs) == (created.id, created.outs, inputs)
    assert accounts_key[2:] not in json.dumps(created.outs)
    assert provider.diff(created.id, created.outs or {}, inputs).changes is False
    assert provider.diff(created.id, created.outs or {}, pass_inputs()).replaces == ["address"]


def test_contracts_sent_at_once_from_one_account(chain: Anvil) -> None:
    from concurrent.futures import ThreadPoolExecutor

    provider = configured(ContractProvider(), {"rpcUrl": chain.url})
    wanted = [pass_inputs(f"pass {n}") for n in range(6)]
    with ThreadPoolExecutor(4) as pool:
        assert [one.id for one in pool.map(provider.create, wanted)] == [one["address"] for one in wanted]


@pytest.mark.parametrize(
    ("settings", "error", "message"),
    [
        ({"chainId": 8453}, WrongChain, "serves chain 31337"),
        ({"rpcUrl": "http://127.0.0.1:9"}, ChainUnreachable, "is the chain running there"),
        ({"mode": "external"}, SettingsError, r"berth:chain\.deployerKey is not set"),
    ],
)
def test_what_keeps_a_contract_from_being_deployed(
    chain: Anvil, settings: dict[str, Any], error: type[Exception], message: str
) -> None:
    provider = configured(ContractProvider(), {"rpcUrl": chain.url, **settings})
    with pytest.raises(error, match=message):
        provider.create(pass_inputs("never deployed"))


def test_another_external_chain_is_checked_in_the_preview(chain: Anvil) -> None:
    provider = configured(ContractProvider(), {"mode": "external", "rpcUrl": chain.url, "chainId": 8453})
    inputs = {**pass_inputs(), "chainId": 8453}
    with pytest.raises(WrongChain, match="serves chain 31337"):
        provider.check(pass_inputs(), inputs)


@pytest.mark.parametrize("olds", [{}, {**pass_inputs(), "chainId": 8453}])
def test_a_preview_of_nothing_new_asks_nobody(olds: dict[str, Any]) -> None:
    unreachable = {"mode": "external", "rpcUrl": "http://127.0.0.1:9", "chainId": 8453}
    inputs = {**pass_inputs(), "chainId": 8453}
    assert configured(ContractProvider(), unreachable).check(olds, inputs).inputs == inputs


def test_a_chain_without_the_proxy_says_so() -> None:
    with Anvil("--disable-default-create2-deployer") as bare:
        provider = configured(ContractProvider(), {"rpcUrl": bare.url})
        with pytest.raises(NoContract, match="deterministic deployment proxy"):
            provider.create(pass_inputs())


def test_the_list_is_confirmed_or_has_moved(chain: Anvil, endpoint: Endpoint, contracts: Contracts) -> None:
    provider = configured(AccessListProvider(), {"rpcUrl": chain.url})
    access = read_access_list(endpoint, contracts.key_registry, IPv4Network("10.77.0.0/16"))
    declared = inputs_of(access)
    dev.mine(endpoint)

    outputs = provider.create(declared).outs or {}
    assert outputs["block"] == {"number": access.block.number + 1, "hash": endpoint.block().hash}
    assert Receipt.from_dict(outputs["receipt"]).digest == access.digest
    kept = provider.read("access-list", outputs)
    assert (kept.inputs, kept.outs) == (declared, outputs)

    wallet = dev.Wallet.fresh()
    token = dev.mint(endpoint, contracts.access_pass, accounts_key, wallet.address)
    dev.register_for(endpoint, contracts.key_registry, accounts_key, wallet.key, token, dev.fresh_public_key())
    with pytest.raises(ListMoved, match=rf"added token {token} \({wallet.address}"):
        provider.update("access-list", outputs, declared)


def test_the_list_is_read_from_as_many_endpoints_as_have_to_agree(chain: Anvil, contracts: Contracts) -> None:
    nobody = "http://127.0.0.1:9"
    another = chain.url.replace("127.0.0.1", "localhost")
    for settings, fails in (
        ({"rpcUrl": nobody, "rpcUrls": [chain.url]}, False),
        ({"rpcUrl": chain.url, "rpcUrls": [nobody], "quorum": 2}, True),
        ({"rpcUrl": chain.url, "rpcUrls": [nobody, another], "quorum": 2}, False),
    ):
        provider = configured(AccessListProvider(), settings)
        found = read_access_list(chain.endpoint(), contracts.key_registry, IPv4Network("10.77.0.0/16"))
        declared = inputs_of(found)
        if fails:
            with pytest.raises(ChainUnreachable):
                provider.create(declared)
        else:
            assert (provider.create(declared).outs or {})["digest"] == declared["digest"]


def test_an_endpoint_that_lags_is_refused_in_preview_and_update(
    chain: Anvil, endpoint: Endpoint, contracts: Contracts
) -> None:
    provider = configured(AccessListProvider(), {"rpcUrl": chain.url})
    before, snapshot = endpoint.block(), endpoint.request("evm_snapshot")
    stale = inputs_of(read_access_list(endpoint, contracts.key_registry, IPv4Network("10.77.0.0/16")))
    wallet = dev.Wallet.fresh()
    token = dev.mint(endpoint, contracts.access_pass, accounts_key, wallet.address)
    dev.register_for(endpoint, contracts.key_registry, accounts_key, wallet.key, token, dev.fresh_public_key())
    declared = inputs_of(read_access_list(endpoint, contracts.key_registry, IPv4Network("10.77.0.0/16")))
    outputs = provider.create(declared).outs or {}
    assert outputs["genesis"] == endpoint.block(0).hash

    endpoint.request("evm_revert", snapshot)  # as an endpoint that has not got further yet
    assert endpoint.block() == before
    for step in (provider.diff, provider.update):
        with pytest.raises(OlderBlock, match=rf"at block {before.number} .*, but the list of block"):
            step("access-list", outputs, stale)
    # The same list is no news, and of a chain started anew nothing is known.
    assert provider.diff("access-list", outputs, declared).changes is None
    another_chain = {**outputs, "genesis": "0x" + "00" * 32}
    assert provider.diff("access-list", another_chain, stale).changes is None
    assert (provider.update("access-list", another_chain, stale).outs or {})["digest"] == stale["digest"]


@pytest.mark.parametrize("provider", [ContractProvider(), AccessListProvider()])
def test_state_holds_a_name_and_not_the_code(provider: ResourceProvider) -> None:
    pickled = base64.b64decode(serialize_provider(provider))
    assert type(provider).__name__.encode() in pickled
    assert len(pickled) < 150
