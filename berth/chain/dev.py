"""What demos and tests do on a local chain: accounts with funds, passes, keys, time.

Not for services.  The functions that start with ``anvil_`` in JSON-RPC work on Anvil only, and say so
elsewhere by failing.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass, field

from berth.chain.access_pass import AccessPass
from berth.chain.accounts import address_of
from berth.chain.eip712 import register_message, sign
from berth.chain.endpoint import Endpoint
from berth.chain.key_registry import KeyRegistry
from berth.chain.transactions import Receipt, Sender

ether = 10**18


@dataclass(frozen=True)
class Wallet:
    """A fresh account; the key is 0x and 64 hex digits and is never shown."""

    key: str = field(repr=False)
    address: str

    @classmethod
    def fresh(cls) -> Wallet:
        key = "0x" + secrets.token_hex(32)
        return cls(key, address_of(key))


def fund(endpoint: Endpoint, address: str, amount: int = 10 * ether) -> None:
    """Gives the account ``amount`` wei, from nowhere."""
    endpoint.request("anvil_setBalance", address, hex(amount))


def mint(endpoint: Endpoint, collection: str, key: str, to: str, expires: int = 0) -> int:
    """Mints a pass to ``to`` as the collection's owner (whose ``key`` this is) and returns its token id."""
    return AccessPass(endpoint, collection).mint(Sender(endpoint, key), to, expires)


def transfer(endpoint: Endpoint, collection: str, key: str, to: str, token: int) -> Receipt:
    """Sells the pass: from the account of ``key`` to ``to``."""
    return AccessPass(endpoint, collection).transfer(Sender(endpoint, key), to, token)


def register(endpoint: Endpoint, registry: str, key: str, token: int, public_key: str) -> Receipt:
    """Binds a WireGuard public key (base64) to the pass, as its holder, who pays."""
    return KeyRegistry(endpoint, registry).register(Sender(endpoint, key), token, public_key)


def register_for(
    endpoint: Endpoint, registry: str, payer_key: str, holder_key: str, token: int, public_key: str, valid: int = 600
) -> Receipt:
    """As :func:`register`, but the holder only signs (for ``valid`` seconds of chain time) and the payer pays."""
    holder, contract = address_of(holder_key), KeyRegistry(endpoint, registry)
    deadline = max(_chain_time(endpoint), int(time.time())) + valid
    nonce = contract.nonce(holder)
    message = register_message(endpoint.chain_id, registry, token, public_key, nonce, deadline)
    signature = sign(message, holder_key)
    return contract.register_for(Sender(endpoint, payer_key), token, public_key, holder, deadline, signature)


def revoke(endpoint: Endpoint, registry: str, key: str, token: int) -> Receipt:
    """Ends the binding, as its holder."""
    return KeyRegistry(endpoint, registry).revoke(Sender(endpoint, key), token)


def mine(endpoint: Endpoint, blocks: int = 1) -> None:
    """Mines empty blocks."""
    endpoint.request("anvil_mine", hex(blocks))


def advance(endpoint: Endpoint, seconds: int) -> None:
    """Moves the chain's clock forward and mines a block at the new time."""
    endpoint.request("evm_increaseTime", hex(seconds))
    mine(endpoint)


def fresh_public_key() -> str:
    """A WireGuard public key (base64) whose private half nobody keeps: for peers that never connect."""
    from base64 import b64encode

    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    return b64encode(X25519PrivateKey.generate().public_key().public_bytes_raw()).decode()


def _chain_time(endpoint: Endpoint) -> int:
    return int(endpoint.request("eth_getBlockByNumber", "latest", False)["timestamp"], 16)
