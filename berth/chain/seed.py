"""Many passes at once on a local chain, for tests and benchmarks of size.

Anvil sends for anybody (impersonation), so that every pass has a holder of its own.  Transactions go in
batches, one block for each: about 2,000 passes a second.
"""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

import urllib3
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from berth.chain import abi, create2
from berth.chain.anvil import accounts_key
from berth.chain.artifacts import load
from berth.chain.endpoint import Endpoint
from berth.chain.errors import CallFailed
from berth.chain.hashing import checksum_address
from berth.chain.transactions import Sender

_batch: Final = 250
_mint_gas: Final = 200_000
_register_gas: Final = 400_000
_timeout: Final = 60.0  # seconds for a batch


@dataclass(frozen=True)
class Contracts:
    """Addresses of what :func:`deploy` deployed; the operator is Anvil's first account."""

    access_pass: str
    key_registry: str
    node_registry: str


def deploy(endpoint: Endpoint, *, delegates: bool = False, quarantine: int = 0) -> Contracts:
    """Deploys our contracts as a stack does."""
    sender = Sender(endpoint, accounts_key)

    def deployed(contract: str, **arguments: Any) -> str:
        artifact = load(contract)
        return create2.deploy(endpoint, sender, artifact, create2.init_code(artifact, arguments)).address

    collection = deployed("AccessPass", name="berth pass", symbol="BERTH", owner=sender.address)
    registry = deployed("KeyRegistry", collection=collection, delegates=delegates, quarantine=quarantine)
    return Contracts(collection, registry, deployed("NodeRegistry", owner=sender.address))


def holder_of(token: int) -> str:
    """The account that :func:`seed` mints this token to; nobody has its key."""
    return checksum_address(sha256(b"holder %d" % token).digest()[:20])


def public_key_of(token: int) -> str:
    """The WireGuard public key (base64) that :func:`seed` registers for this token."""
    private = X25519PrivateKey.from_private_bytes(sha256(b"key %d" % token).digest())
    return b64encode(private.public_key().public_bytes_raw()).decode()


def seed(endpoint: Endpoint, contracts: Contracts, tokens: range) -> None:
    """Mints and registers these tokens, which must be the next ones; the chain must have spare block gas."""
    operator = Sender(endpoint, accounts_key).address
    endpoint.request("anvil_autoImpersonateAccount", True)
    endpoint.request("evm_setAutomine", False)
    try:
        for start in range(tokens.start, tokens.stop, _batch):
            group = range(start, min(start + _batch, tokens.stop))
            _mine(endpoint, _mints(endpoint, operator, contracts.access_pass, group))
            _mine(endpoint, _registrations(contracts.key_registry, group))
    finally:
        endpoint.request("evm_setAutomine", True)
        endpoint.request("anvil_autoImpersonateAccount", False)


def _mints(endpoint: Endpoint, operator: str, collection: str, tokens: range) -> list[dict[str, str]]:
    # Anvil works on a batch in parallel: without nonces the order, and so the token ids, would vary.
    nonce = int(endpoint.request("eth_getTransactionCount", operator, "latest"), 16)
    calls = [_hex(abi.encode_call("mint(address)", int(holder_of(token), 16))) for token in tokens]
    return [
        {"from": operator, "to": collection, "gas": hex(_mint_gas), "nonce": hex(nonce + position), "data": call}
        for position, call in enumerate(calls)
    ]


def _registrations(registry: str, tokens: range) -> list[dict[str, str]]:
    calls = {
        token: _hex(abi.encode_call("register(uint256,bytes32)", token, _number(public_key_of(token))))
        for token in tokens
    }
    return [
        {"from": holder_of(token), "to": registry, "gas": hex(_register_gas), "data": call}
        for token, call in calls.items()
    ]


def _mine(endpoint: Endpoint, transactions: list[dict[str, str]]) -> None:
    """Sends the transactions as one JSON-RPC batch, free of charge, and mines them in one block."""
    endpoint.request("anvil_setNextBlockBaseFeePerGas", "0x0")
    calls = [
        {"jsonrpc": "2.0", "id": number, "method": "eth_sendTransaction", "params": [{**one, "gasPrice": "0x0"}]}
        for number, one in enumerate(transactions)
    ]
    headers = {"Content-Type": "application/json"}
    response = urllib3.request("POST", endpoint.target, body=json.dumps(calls), headers=headers, timeout=_timeout)
    refused = [answer["error"]["message"] for answer in response.json() if "error" in answer]
    if refused:
        raise CallFailed(f"{endpoint.url} refused {len(refused)} of {len(calls)} transactions: {refused[0]}")
    endpoint.request("evm_mine")


def _hex(data: bytes) -> str:
    return "0x" + data.hex()


def _number(key: str) -> int:
    return int.from_bytes(b64decode(key), "big")
