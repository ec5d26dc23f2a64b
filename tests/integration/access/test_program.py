"""Contracts and access list through a whole engine: what a person sees, and what may not change behind their back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.programs import Program, ProgramFailed
from berth.chain import dev
from berth.chain.anvil import Anvil, accounts_key
from berth.chain.endpoint import Endpoint
from berth.chain.seed import Contracts

pytestmark = [pytest.mark.chain, pytest.mark.timeout(300)]


@dataclass(frozen=True)
class Member:
    wallet: dev.Wallet
    token: int
    key: str


def join(endpoint: Endpoint, contracts: Contracts) -> Member:
    wallet, key = dev.Wallet.fresh(), dev.fresh_public_key()
    dev.fund(endpoint, wallet.address)
    token = dev.mint(endpoint, contracts.access_pass, accounts_key, wallet.address)
    dev.register(endpoint, contracts.key_registry, wallet.key, token, key)
    return Member(wallet, token, key)


def sell(endpoint: Endpoint, contracts: Contracts, member: Member) -> None:
    dev.transfer(endpoint, contracts.access_pass, member.wallet.key, dev.Wallet.fresh().address, member.token)


@pytest.fixture
def program(tmp_path: Path, chain: Anvil) -> Program:
    program = Program(tmp_path / "stack", chain.url, tmp_path / "pin.json")
    program.configure({"berth:chain": {"rpcUrl": chain.url}, "bench:list": "true"})
    return program


def deployed(program: Program) -> Contracts:
    outputs = program.outputs()
    return Contracts(outputs["accessPass"], outputs["keyRegistry"], outputs["nodeRegistry"])


def test_from_preview_to_update(program: Program, tmp_path: Path, endpoint: Endpoint) -> None:
    pin = tmp_path / "pin.json"
    first = program.preview()
    assert "to create" in first
    assert not pin.exists(), "nothing was read, so there is nothing to pin"
    program.up()
    contracts = deployed(program)
    member = join(endpoint, contracts)

    shown = program.preview()
    for word in (f"+ {member.token}:", member.wallet.address, member.key):
        assert word in shown
    block = endpoint.block()
    assert json.loads(pin.read_text())["hash"] == block.hash
    dev.mine(endpoint, 2)
    program.up()
    pin.unlink()

    # Blocks alone change nothing.
    dev.mine(endpoint, 2)
    assert "7 unchanged" in program.preview()

    sell(endpoint, contracts, member)
    shown = program.preview()
    for word in (f"- {member.token}:", member.wallet.address, member.key):
        assert word in shown

    # Somebody else joins between preview and update: nobody has seen that list.
    entries = program.entries()
    late = join(endpoint, contracts)
    with pytest.raises(ProgramFailed, match=rf"has moved since the preview.*added token {late.token} .*make preview"):
        program.up()
    assert program.entries() == entries
    program.preview()
    program.up()
    assert set(program.entries()) == {str(late.token)}


def test_a_pinned_block_that_is_gone(program: Program, tmp_path: Path, endpoint: Endpoint) -> None:
    program.up()
    join(endpoint, deployed(program))
    snapshot = endpoint.request("evm_snapshot")
    dev.mine(endpoint)
    program.preview()
    endpoint.request("evm_revert", snapshot)
    with pytest.raises(ProgramFailed, match=r"of the preview is no longer on chain 31337.*make preview"):
        program.up()


def test_a_failed_read_is_not_an_empty_list(program: Program, tmp_path: Path, endpoint: Endpoint) -> None:
    program.up()
    contracts = deployed(program)
    member = join(endpoint, contracts)
    program.preview()
    program.up()
    entries = program.entries()
    for chain, message in (
        ({"rpcUrl": "http://127.0.0.1:9"}, "is the chain running there"),
        (
            {"mode": "external", "rpcUrl": endpoint.url, "chainId": 8453, "deployerKey": accounts_key},
            "serves chain 31337, but the stack is set to chain 8453",
        ),
    ):
        program.configure({"berth:chain": chain, "bench:list": "true"})
        with pytest.raises(ProgramFailed, match=message):
            program.preview()
        with pytest.raises(ProgramFailed, match=message):
            program.up()
    assert program.entries() == entries
    assert str(member.token) in entries


def test_a_chain_started_anew(tmp_path: Path) -> None:
    """State says that there are contracts, the chain says that there is nothing: refresh, then update, deploys them."""
    with Anvil() as first:
        program = Program(tmp_path / "stack", first.url)
        program.configure({"berth:chain": {"rpcUrl": first.url}, "bench:list": "true"})
        program.up()
        contracts = deployed(program)
    with Anvil(port=first.port) as second:
        with pytest.raises(ProgramFailed, match=rf"no contract at {contracts.key_registry} on chain 31337.*refresh"):
            program.preview()
        program.refresh()
        program.up()
        assert deployed(program) == contracts
        assert second.endpoint().code(contracts.key_registry)


def test_the_deployers_key_is_in_no_resource(program: Program, endpoint: Endpoint) -> None:
    """An engine keeps it where it keeps the configuration of dynamic providers, as secret as in the settings."""
    deployer = dev.Wallet.fresh()
    dev.fund(endpoint, deployer.address)
    program.configure({"berth:chain": {"rpcUrl": endpoint.url, "deployerKey": deployer.key}, "bench:list": "true"})
    program.up()
    resources = json.dumps([one for one in program.resources() if not one["type"].startswith("pulumi:providers:")])
    assert deployer.address in resources
    assert deployer.key.removeprefix("0x") not in resources
