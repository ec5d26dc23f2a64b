"""What a holder signs to register or revoke a WireGuard key without paying gas (EIP-712)."""

from __future__ import annotations

from typing import Any, Final

from berth.chain.key_registry import key_bytes

domain_name: Final = "berth KeyRegistry"
domain_version: Final = "1"
_domain_type: Final = [
    {"name": "name", "type": "string"},
    {"name": "version", "type": "string"},
    {"name": "chainId", "type": "uint256"},
    {"name": "verifyingContract", "type": "address"},
]
_register_type: Final = [
    {"name": "tokenId", "type": "uint256"},
    {"name": "publicKey", "type": "bytes32"},
    {"name": "nonce", "type": "uint256"},
    {"name": "deadline", "type": "uint256"},
]
_revoke_type: Final = [
    {"name": "tokenId", "type": "uint256"},
    {"name": "nonce", "type": "uint256"},
    {"name": "deadline", "type": "uint256"},
]


def domain(chain_id: int, registry: str) -> dict[str, Any]:
    """The EIP-712 domain of a KeyRegistry: a signature for one is none for another."""
    return {"name": domain_name, "version": domain_version, "chainId": chain_id, "verifyingContract": registry}


def register_message(chain_id: int, registry: str, token: int, key: str, nonce: int, deadline: int) -> dict[str, Any]:
    """The typed data for ``eth_signTypedData_v4``: ``key`` in base64, ``deadline`` in unix seconds."""
    return {
        "types": {"EIP712Domain": _domain_type, "Register": _register_type},
        "primaryType": "Register",
        "domain": domain(chain_id, registry),
        "message": {
            "tokenId": token,
            "publicKey": "0x" + key_bytes(key).hex(),
            "nonce": nonce,
            "deadline": deadline,
        },
    }


def revoke_message(chain_id: int, registry: str, token: int, nonce: int, deadline: int) -> dict[str, Any]:
    """The typed data that ends a binding; ``deadline`` in unix seconds."""
    return {
        "types": {"EIP712Domain": _domain_type, "Revoke": _revoke_type},
        "primaryType": "Revoke",
        "domain": domain(chain_id, registry),
        "message": {"tokenId": token, "nonce": nonce, "deadline": deadline},
    }


def sign(message: dict[str, Any], private_key: str) -> bytes:
    """The 65-byte signature of an account with a private key (tests, demo, command line; browsers use a wallet)."""
    from eth_account import Account  # 0.6 s
    from eth_account.messages import encode_typed_data

    return bytes(Account.sign_message(encode_typed_data(full_message=message), private_key).signature)
