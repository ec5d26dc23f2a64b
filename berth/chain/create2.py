"""Contracts at addresses that are known before they are deployed.

The address is a hash of deployer proxy, salt, code and constructor arguments (EIP-1014); the proxy is the
deterministic deployment proxy (github.com/Arachnid/deterministic-deployment-proxy), which is at the same
address on every chain.  So a contract is deployed if there is no code at its address, and the code that is
there can only be the one that was meant.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from berth.chain.artifacts import Artifact
from berth.chain.endpoint import Endpoint
from berth.chain.errors import NoContract, TransactionFailed
from berth.chain.hashing import checksum_address, keccak, parse_address

if TYPE_CHECKING:
    from berth.chain.transactions import Sender

proxy_address: Final = "0x4e59b44847b379578588920cA78FbF26c0B4956C"
zero_salt: Final = "0x" + "00" * 32


def init_code(artifact: Artifact, arguments: Mapping[str, Any]) -> bytes:
    """Creation code with its constructor arguments, by name; ValueError names what is missing, unknown or wrong."""
    from eth_abi.abi import encode  # 0.2 s, which a program that deploys nothing need not wait for
    from eth_abi.exceptions import EncodingError

    names = [name for name, _ in artifact.constructor]
    if set(names) != set(arguments):
        raise ValueError(f"{artifact.name} is made from ({', '.join(names)}), not from ({', '.join(arguments)})")
    types = [kind for _, kind in artifact.constructor]
    try:
        return artifact.bytecode + encode(types, [_plain(arguments[name]) for name in names])
    except (EncodingError, TypeError) as error:
        raise ValueError(f"{artifact.name}: {error}") from None


def predicted_address(code: bytes, salt: str = zero_salt) -> str:
    """Where the proxy puts a contract: ``code`` with its arguments, ``salt`` 0x and 64 hex digits."""
    return checksum_address(keccak(b"\xff" + parse_address(proxy_address) + _salt(salt) + keccak(code))[12:])


@dataclass(frozen=True)
class Deployed:
    """``code_hash`` is ``0x`` and the Keccak-256 of the code at ``address``; ``new``: it was not there before."""

    address: str
    code_hash: str
    new: bool


def deploy(endpoint: Endpoint, sender: Sender, artifact: Artifact, code: bytes, salt: str = zero_salt) -> Deployed:
    """Deploys ``code`` unless it is there already.

    Errors: WrongChain, NoContract (the chain has no proxy), TransactionFailed, and the endpoint's.
    """
    endpoint.check_chain()
    address = predicted_address(code, salt)
    if found := endpoint.code(address):
        return Deployed(address, code_hash(found), new=False)
    if not endpoint.code(proxy_address):
        raise NoContract(
            f"chain {endpoint.chain_id} ({endpoint.url}) has no deterministic deployment proxy at {proxy_address}: "
            "deploy it there first (github.com/Arachnid/deterministic-deployment-proxy)"
        )
    sender.send_raw(proxy_address, _salt(salt) + code, f"deploying {artifact.name}")
    found = endpoint.code(address)
    if not found:
        raise TransactionFailed(f"deploying {artifact.name} left no code at {address} on chain {endpoint.chain_id}")
    return Deployed(address, code_hash(found), new=True)


def code_hash(code: bytes) -> str:
    """As EXTCODEHASH gives it."""
    return "0x" + keccak(code).hex()


def _salt(salt: str) -> bytes:
    raw = bytes.fromhex(salt.removeprefix("0x"))
    if len(raw) != 32:
        raise ValueError(f"the salt {salt!r} has {len(raw)} bytes: 32 are needed")
    return raw


def _plain(value: Any) -> Any:
    """State and wire hold every number as a float: 3600.0 means 3600."""
    return int(value) if isinstance(value, float) and value.is_integer() else value
