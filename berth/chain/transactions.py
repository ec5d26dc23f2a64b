"""Signing and sending, by web3 over our own endpoint: its time-outs, its errors, its count of calls."""

from __future__ import annotations

import threading
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Final, cast

from eth_abi.abi import decode
from eth_account import Account
from eth_account.signers.local import LocalAccount
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import TimeExhausted, Web3Exception
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse, TxParams

from berth.chain import abi
from berth.chain.accounts import address_of
from berth.chain.artifacts import Artifact, load
from berth.chain.endpoint import Endpoint
from berth.chain.errors import CallFailed, TransactionFailed

mined_within: Final = 60.0  # seconds
_poll: Final = 0.05  # seconds
_tries: Final = 3
_nonce_taken: Final = ("nonce", "already known", "underpriced")
# Transactions of one account are sent one after the other: providers deploy several contracts at once.
_locks: defaultdict[tuple[str, str], threading.Lock] = defaultdict(threading.Lock)


@dataclass(frozen=True)
class Log:
    """One event: ``topics`` and ``data`` as they stand in the receipt."""

    address: str
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True)
class Receipt:
    """A mined transaction that succeeded."""

    hash: str
    block: int
    gas_used: int
    logs: tuple[Log, ...]


class _EndpointProvider(JSONBaseProvider):
    """web3's transport; errors pass through web3 as ours."""

    def __init__(self, endpoint: Endpoint) -> None:
        super().__init__()
        self._endpoint = endpoint

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        return cast(RPCResponse, {"jsonrpc": "2.0", "id": 0, "result": self._endpoint.request(method, *params)})


def connect(endpoint: Endpoint) -> Web3:
    """web3 over the endpoint."""
    return Web3(_EndpointProvider(endpoint))


@dataclass(frozen=True)
class Limits:
    """What one transaction may cost at most: ``gas`` units, and ``fee`` wei for each; None for no limit."""

    gas: int | None = None
    fee: int | None = None


class TooDear(TransactionFailed):
    """The transaction would cost more than its limits allow; it was not sent."""


@dataclass(frozen=True)
class Sender:
    """An account that signs here; ``key`` is 0x and 64 hex digits and is never shown."""

    endpoint: Endpoint
    key: str = field(repr=False)
    limits: Limits = field(default_factory=lambda: Limits())

    @cached_property
    def address(self) -> str:
        return address_of(self.key)

    def send(self, contract: str, address: str, function: str, *arguments: object) -> Receipt:
        """Calls ``function`` of the contract of that name at ``address`` and waits until it is mined.

        TransactionFailed carries the contract's own error by name.
        """
        artifact = load(contract)
        data = self._encode(artifact, address, function, arguments)
        return self.send_raw(address, data, f"{contract}.{function}", artifact)

    def simulate(self, contract: str, address: str, function: str, *arguments: object) -> None:
        """Does what :meth:`send` would do, on the latest block and without sending it; TransactionFailed likewise."""
        artifact = load(contract)
        data = self._encode(artifact, address, function, arguments)
        call = {"from": self.address, "to": address, "data": "0x" + data.hex()}
        if self.limits.gas is not None:
            call["gas"] = hex(self.limits.gas)
        try:
            self.endpoint.request("eth_call", call, "latest")
        except CallFailed as error:
            raise refusal_of(error, f"{contract}.{function}", artifact) from None

    def balance(self) -> int:
        """What the account has, in wei."""
        return int(self.endpoint.request("eth_getBalance", self.address, "latest"), 16)

    def send_raw(self, to: str, data: bytes, what: str, artifact: Artifact | None = None) -> Receipt:
        """Sends ``data`` to ``to`` and waits until it is mined; ``what`` it is stands in errors."""
        try:
            with _locks[self.endpoint.url, self.address]:
                sent = self._submit(to, data)
            return self._wait(sent, what)
        except CallFailed as error:
            raise refusal_of(error, what, artifact) from None
        except TimeExhausted:
            raise TransactionFailed(
                f"{what} was not mined within {mined_within:g} s: is the chain still making blocks?"
            ) from None
        except Web3Exception as error:
            raise TransactionFailed(f"{what} failed: {error}") from None

    def _encode(self, artifact: Artifact, address: str, function: str, arguments: tuple[object, ...]) -> bytes:
        bound = self._web3.eth.contract(address=self._web3.to_checksum_address(address), abi=artifact.abi)
        return bytes(HexBytes(bound.encode_abi(function, args=list(arguments))))

    @cached_property
    def _web3(self) -> Web3:
        return connect(self.endpoint)

    def _submit(self, to: str, data: bytes) -> HexBytes:
        eth = self._web3.eth
        account = cast(LocalAccount, Account.from_key(self.key))
        for left in reversed(range(_tries)):
            transaction: TxParams = {
                "from": account.address,
                "to": self._web3.to_checksum_address(to),
                "data": HexBytes(data),
                "value": self._web3.to_wei(0, "wei"),
                "chainId": self.endpoint.chain_id,
                "nonce": eth.get_transaction_count(account.address, "pending"),
            }
            # A margin, because a contract that forwards gas may need more when it is mined than when it was estimated.
            transaction["gas"] = eth.estimate_gas(transaction) * 5 // 4
            tip = eth.max_priority_fee
            base = eth.get_block("latest").get("baseFeePerGas", 0)
            transaction["maxPriorityFeePerGas"] = tip
            self._check_limits(transaction["gas"], base + tip)
            most = 2 * base + tip if self.limits.fee is None else min(2 * base + tip, self.limits.fee)
            transaction["maxFeePerGas"] = self._web3.to_wei(most, "wei")
            try:
                return eth.send_raw_transaction(
                    account.sign_transaction(cast(dict[str, Any], transaction)).raw_transaction
                )
            except CallFailed as error:
                # Somebody else sent from this account meanwhile.
                if not left or not any(word in str(error).lower() for word in _nonce_taken):
                    raise
        raise AssertionError("unreachable")

    def _check_limits(self, gas: int, fee: int) -> None:
        if self.limits.gas is not None and gas > self.limits.gas:
            raise TooDear(f"it needs {gas} gas, more than the limit of {self.limits.gas}")
        if self.limits.fee is not None and fee > self.limits.fee:
            raise TooDear(f"gas costs {fee / 1e9:g} gwei now, more than the limit of {self.limits.fee / 1e9:g} gwei")

    def _wait(self, sent: HexBytes, what: str) -> Receipt:
        mined = self._web3.eth.wait_for_transaction_receipt(sent, timeout=mined_within, poll_latency=_poll)
        if mined["status"] != 1:
            raise TransactionFailed(
                f"{what} was mined in block {mined['blockNumber']} and reverted there ({sent.to_0x_hex()})"
            )
        logs = tuple(Log(log["address"], tuple(map(bytes, log["topics"])), bytes(log["data"])) for log in mined["logs"])
        return Receipt(sent.to_0x_hex(), mined["blockNumber"], mined["gasUsed"], logs)


def refusal_of(error: CallFailed, what: str, artifact: Artifact | None) -> TransactionFailed:
    """The contract's own error with its arguments where the ABI knows it, else what the endpoint said."""
    try:
        data = bytes.fromhex(error.data.removeprefix("0x"))
    except ValueError:
        data = b""
    for item in artifact.abi if artifact and len(data) >= 4 else []:
        if item["type"] == "error":
            types = [argument["type"] for argument in item["inputs"]]
            if abi.selector(f"{item['name']}({','.join(types)})") == data[:4]:
                arguments = tuple(decode(types, data[4:]))
                shown = f"{item['name']}({', '.join(map(_show, arguments))})"
                return TransactionFailed(f"{what} was refused: {shown}", item["name"], arguments)
    return TransactionFailed(f"{what} was refused: {error}")


def _show(value: object) -> str:
    return "0x" + value.hex() if isinstance(value, bytes) else str(value)
