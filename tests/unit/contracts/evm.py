"""An Ethereum chain inside the test process: py-evm behind web3, with a clock that only tests move."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from eth_abi.abi import decode
from eth_account import Account
from eth_account.messages import encode_typed_data
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import TransactionFailed
from eth_utils.crypto import keccak
from web3 import EthereumTesterProvider, Web3
from web3.contract import Contract
from web3.contract.contract import ContractFunction
from web3.types import TxReceipt

CONTRACTS = Path(__file__).resolve().parents[3] / "contracts"
ZERO = "0x" + "00" * 20
PEER_TYPES = "(uint256,address,bytes32,uint32,uint64)[]"
# Enough for each single transaction of the tests, far under the block's limit.
GAS = 6_000_000


class Peer(NamedTuple):
    """One row of the access list, as `KeyRegistry.Peer`."""

    token: int
    holder: str
    key: bytes
    slot: int
    expires: int


class Page(NamedTuple):
    """What `KeyRegistry.activePeers` answers."""

    peers: tuple[Peer, ...]
    next: int
    total: int
    checksum: bytes
    chain_id: int


def artifact(name: str) -> dict[str, Any]:
    """A compiled contract: `KeyRegistry`, or `test/SmartWallet` for a helper of the tests."""
    loaded: dict[str, Any] = json.loads((CONTRACTS / "artifacts" / f"{name}.json").read_text())
    return loaded


def key(number: int) -> bytes:
    """A valid WireGuard public key (32 bytes) for each number from 0."""
    return (number + 2).to_bytes(4, "little") + b"berth tests".ljust(28, b"\x01")


@dataclass
class Evm:
    """One chain. Each transaction is mined in a block of its own, one second after the block before it."""

    tester: EthereumTester = field(default_factory=lambda: EthereumTester(PyEVMBackend()))

    def __post_init__(self) -> None:
        self.w3 = Web3(EthereumTesterProvider(self.tester))
        self.accounts: list[str] = list(self.w3.eth.accounts)
        self._keys = {key.public_key.to_checksum_address(): key for key in self.tester.backend.account_keys}
        # Ahead of the wall clock, so that the time of a block never depends on when a test runs.
        self.travel(self.now + 86_400)

    @property
    def now(self) -> int:
        """The time of the newest block, which is also the time that calls see."""
        return int(self.w3.eth.get_block("latest")["timestamp"])

    def travel(self, time: int) -> None:
        """Mine up to a block at `time`; the next transaction is mined one second later."""
        self.tester.time_travel(time + 1)
        assert self.now == time

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Whatever happens inside is forgotten afterwards."""
        snapshot = self.tester.take_snapshot()
        try:
            yield
        finally:
            self.tester.revert_to_snapshot(snapshot)

    def deploy(self, name: str, *arguments: Any, by: str | None = None) -> Contract:
        """Deploy an artifact; raises AssertionError when its constructor reverts."""
        factory = self._factory(name)
        transaction = {"from": by or self.accounts[0], "gas": GAS}
        receipt = self.w3.eth.wait_for_transaction_receipt(factory.constructor(*arguments).transact(transaction))
        assert receipt["status"] == 1, f"{name} was not deployed"
        return self.at(str(receipt["contractAddress"]), name)

    def at(self, address: str, name: str) -> Contract:
        """A deployed artifact."""
        contract = self.w3.eth.contract(Web3.to_checksum_address(address), abi=artifact(name)["abi"])
        assert isinstance(contract, Contract)
        return contract

    def deploy_refusal(self, name: str, *arguments: Any) -> tuple[Any, ...]:
        """The error with which a constructor refuses, as (name, *arguments)."""
        factory = self._factory(name)
        data = factory.constructor(*arguments).data_in_transaction
        try:
            self.w3.eth.call({"from": self.accounts[0], "data": data, "gas": GAS})
        except TransactionFailed as failure:
            return _decode(failure, factory.abi)
        raise AssertionError(f"{name} was deployed")

    def send(self, function: ContractFunction, by: str, value: int = 0) -> TxReceipt:
        """Send a transaction that must succeed."""
        receipt = self.w3.eth.wait_for_transaction_receipt(
            function.transact({"from": by, "gas": GAS, "value": Web3.to_wei(value, "wei")})
        )
        assert receipt["status"] == 1, f"{function} by {by} failed: {self.refusal(function, by)}"
        return receipt

    def refusal(
        self, function: ContractFunction, by: str | None = None, gas: int = GAS, value: int = 0
    ) -> tuple[Any, ...]:
        """The error with which a call is refused, as (name, *arguments); ("Panic" or "", text) without a custom one."""
        try:
            function.call({"from": by or self.accounts[0], "gas": gas, "value": Web3.to_wei(value, "wei")})
        except TransactionFailed as failure:
            return _decode(failure, function.contract_abi)
        raise AssertionError(f"{function} was not refused")

    def sign(self, account: str, typed: Mapping[str, Any]) -> bytes:
        """An account's EIP-712 signature, 65 bytes."""
        message = encode_typed_data(full_message=dict(typed))
        return bytes(Account.sign_message(message, self._keys[account].to_bytes()).signature)

    def _factory(self, name: str) -> Any:
        compiled = artifact(name)
        return self.w3.eth.contract(abi=compiled["abi"], bytecode=compiled["bytecode"])


def page(registry: Contract, cursor: int = 0, limit: int = 1_000) -> Page:
    """A page of the access list."""
    peers, following, total, checksum, chain_id = registry.functions.activePeers(cursor, limit).call()
    return Page(tuple(Peer(*peer) for peer in peers), following, total, checksum, chain_id)


def peers(registry: Contract) -> dict[int, Peer]:
    """The access list by token."""
    return {peer.token: peer for peer in page(registry).peers}


def events(contract: Contract, receipt: TxReceipt) -> list[tuple[Any, ...]]:
    """The contract's events in a receipt, each as (name, *arguments)."""
    found = []
    for log in receipt["logs"]:
        for abi in contract.abi:
            if abi["type"] == "event" and log["topics"][0] == keccak(text=_signature(abi)):
                decoded = contract.events[abi["name"]]().process_log(log)
                found.append((abi["name"], *(decoded["args"][each["name"]] for each in abi["inputs"])))
    return found


def _signature(abi: Mapping[str, Any]) -> str:
    return f"{abi['name']}({','.join(each['type'] for each in abi['inputs'])})"


def _decode(failure: TransactionFailed, abi: Sequence[Mapping[str, Any]]) -> tuple[Any, ...]:
    text = str(failure.args[0]).removeprefix("execution reverted: ")
    if not text.startswith(("b'", 'b"')):
        return ("", text)
    data = ast.literal_eval(text)
    for each in abi:
        if each["type"] == "error" and keccak(text=_signature(each))[:4] == data[:4]:
            values = decode([item["type"] for item in each["inputs"]], data[4:])
            checked = (
                Web3.to_checksum_address(value) if item["type"] == "address" else value
                for item, value in zip(each["inputs"], values, strict=True)
            )
            return (each["name"], *checked)
    return ("", data)
