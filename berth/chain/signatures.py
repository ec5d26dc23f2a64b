"""Whether an account signed a message: by recovering the signer, or by asking a wallet contract (ERC-1271).

A wallet contract that is not deployed yet (ERC-6492) is refused by name: checking it would mean to run code
that the caller sends.
"""

from __future__ import annotations

from typing import Any, Final

from berth.chain import abi
from berth.chain.endpoint import Endpoint
from berth.chain.errors import CallFailed
from berth.chain.hashing import keccak, normalize_address

longest: Final = 4096  # bytes; a multi-signature wallet with 60 owners fits
_recoverable: Final = 65
_counterfactual: Final = bytes.fromhex("6492" * 16)
_is_valid: Final = "isValidSignature(bytes32,bytes)"
_wallet_gas: Final = 3_000_000  # passkey wallets compute a curve in Solidity


class NotSigned(Exception):
    """The signature is not the account's; the message says why."""


class Counterfactual(NotSigned):
    """The signature is of a wallet contract that is not deployed yet (ERC-6492)."""


def personal_hash(message: str) -> bytes:
    """What ``personal_sign`` signs for a text (EIP-191, version 0x45)."""
    text = message.encode()
    return keccak(b"\x19Ethereum Signed Message:\n%d" % len(text) + text)


def typed_hash(message: dict[str, Any]) -> bytes:
    """What ``eth_signTypedData_v4`` signs (EIP-712)."""
    from eth_account.messages import encode_typed_data  # 0.6 s

    signable = encode_typed_data(full_message=message)
    return keccak(b"\x19" + signable.version + signable.header + signable.body)


def recover(digest: bytes, signature: bytes) -> str | None:
    """The account (EIP-55) whose key signed the 32-byte ``digest``; None when the signature is none of any key."""
    from eth_keys.datatypes import Signature
    from eth_keys.exceptions import BadSignature
    from eth_utils.exceptions import ValidationError

    if len(signature) != _recoverable:
        return None
    try:
        made = Signature(signature[:64] + bytes([_parity(signature[64])]))
        return str(made.recover_public_key_from_msg_hash(digest).to_checksum_address())
    except (BadSignature, ValidationError, ValueError):
        return None


def require_signed(endpoint: Endpoint, account: str, digest: bytes, signature: bytes) -> None:
    """NotSigned unless ``account`` signed ``digest``; ChainError when a wallet contract could not be asked."""
    if len(signature) > longest:
        raise NotSigned(f"the signature has {len(signature)} bytes, {longest} are taken at most")
    if signature.endswith(_counterfactual):
        raise Counterfactual(
            f"the signature says that the wallet {account} is not deployed yet (ERC-6492): deploy it first, "
            "for example by sending its first transaction"
        )
    if recover(digest, signature) == normalize_address(account):
        return
    if not endpoint.code(account):
        raise NotSigned(f"this is not a signature of {account} over that message")
    if not _wallet_agrees(endpoint, account, digest, signature):
        raise NotSigned(f"the wallet contract {account} does not accept this signature (ERC-1271)")


def ethereum_signature(signature: bytes) -> bytes:
    """The signature with its last byte as contracts want it (27 or 28), since some wallets give 0 or 1."""
    if len(signature) == _recoverable and signature[64] in (0, 1):
        return signature[:64] + bytes([signature[64] + 27])
    return signature


def _wallet_agrees(endpoint: Endpoint, wallet: str, digest: bytes, signature: bytes) -> bool:
    padded = signature + bytes(-len(signature) % abi.word)
    data = abi.encode_call(_is_valid, int.from_bytes(digest, "big"), 2 * abi.word, len(signature)) + padded
    call = {"to": wallet, "data": "0x" + data.hex(), "gas": hex(_wallet_gas)}
    try:
        answer = endpoint.request("eth_call", call, "latest")
    except CallFailed:
        return False  # a wallet that reverts says no
    return str(answer).lower() == "0x" + abi.selector(_is_valid).hex() + "00" * 28


def _parity(last: int) -> int:
    return last - 27 if last >= 27 else last
