"""An account that signs here: from a file with its private key, or a keystore with a password.

Keys come from files or the environment, never from arguments, which other users of a machine can read.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from berth.access.client.errors import WalletError
from berth.chain.accounts import address_of
from berth.chain.eip712 import sign
from berth.chain.errors import PermanentError

_longest: Final = 64 * 1024  # bytes of a key file


@dataclass(frozen=True)
class Wallet:
    """``key`` is 0x and 64 hex digits and is never shown; ``address`` in EIP-55 spelling."""

    key: str = field(repr=False)
    address: str

    @classmethod
    def from_text(cls, text: str, password: Callable[[], str] | None = None) -> Self:
        """From a private key in hex, or a keystore (JSON, version 3) whose ``password`` is asked for.

        WalletError, whose message does not show the key, where it is neither.
        """
        text = text.strip()
        key = _open(text, password) if text.startswith("{") else text
        if not key.startswith("0x"):
            key = "0x" + key
        try:
            return cls(key, address_of(key))
        except PermanentError as error:
            raise WalletError(f"{error}, or a keystore file (JSON)") from None

    @classmethod
    def from_file(cls, path: Path, password: Callable[[], str] | None = None) -> Self:
        """From a file with either."""
        try:
            with path.open("rb") as file:
                raw = file.read(_longest + 1)
        except OSError as error:
            raise WalletError(f"{path} cannot be read: {error.strerror}") from None
        if len(raw) > _longest:
            raise WalletError(f"{path} is too long for a key")
        try:
            return cls.from_text(raw.decode(), password)
        except (WalletError, UnicodeDecodeError) as error:
            told = "it is not text" if isinstance(error, UnicodeDecodeError) else str(error)
            raise WalletError(f"{path}: {told}") from None

    def sign_text(self, message: str) -> bytes:
        """As ``personal_sign`` does, 65 bytes."""
        from eth_account import Account  # 0.6 s
        from eth_account.messages import encode_defunct

        return bytes(Account.sign_message(encode_defunct(text=message), self.key).signature)

    def sign_typed(self, message: dict[str, Any]) -> bytes:
        """As ``eth_signTypedData_v4`` does, 65 bytes."""
        return sign(message, self.key)


def _open(text: str, password: Callable[[], str] | None) -> str:
    from eth_account import Account

    try:
        stored = json.loads(text)
    except ValueError as error:
        raise WalletError(f"the keystore is not JSON: {error}") from None
    if password is None:
        raise WalletError("the keystore needs its password")
    try:
        return str(Account.decrypt(stored, password()).to_0x_hex())
    except (ValueError, TypeError, KeyError, NotImplementedError) as error:
        raise WalletError(f"the keystore cannot be opened: {error}") from None
