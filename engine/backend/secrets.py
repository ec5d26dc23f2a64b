"""Secrets by passphrase, as Pulumi's ``passphrase`` provider keeps them.

The key is PBKDF2-HMAC-SHA256 of the passphrase (1,000,000 rounds, 8 bytes of salt); a value is AES-256-GCM
without additional data, written ``v1:<base64 nonce>:<base64 ciphertext and tag>``.  The salt's own text,
``v1:<base64 salt>:<"pulumi", encrypted>``, tells a wrong passphrase at once.
"""

from __future__ import annotations

import base64
import binascii
import getpass
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from engine.backend.errors import ConfigurationError, WrongPassphrase

_rounds = 1_000_000
_variables = "PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE"


def passphrase_from_environment(interactive: bool) -> str:
    """The passphrase (an empty one counts); asks for it on a terminal.

    Raises :class:`ConfigurationError` when there is none.
    """
    if (phrase := os.environ.get("PULUMI_CONFIG_PASSPHRASE")) is not None:
        return phrase
    if name := os.environ.get("PULUMI_CONFIG_PASSPHRASE_FILE"):
        try:
            return Path(name).read_text(encoding="utf-8").strip()
        except OSError as error:
            raise ConfigurationError(f"cannot read PULUMI_CONFIG_PASSPHRASE_FILE ({name}): {error.strerror}") from error
    if interactive:
        return getpass.getpass(f"Enter your passphrase to unlock config/secrets\n    (set {_variables} to remember): ")
    raise ConfigurationError(f"passphrase must be set with {_variables} environment variables")


class PassphraseManager:
    """Encrypts and decrypts for one salt; the (slow) key is derived at the first use, or by :meth:`unlock`."""

    def __init__(self, salt_state: str, phrase: Callable[[], str]) -> None:
        self.salt_state, self.phrase = salt_state, phrase
        self._key: bytes | None = None

    @classmethod
    def new(cls, phrase: Callable[[], str]) -> PassphraseManager:
        """A manager with a salt of its own."""
        salt, manager = os.urandom(8), cls("", phrase)
        manager._key = hashlib.pbkdf2_hmac("sha256", phrase().encode(), salt, _rounds)
        manager.salt_state = f"v1:{base64.b64encode(salt).decode()}:{manager.encrypt('pulumi')}"
        return manager

    def unlock(self) -> bytes:
        """The key.  Raises :class:`WrongPassphrase`, :class:`ConfigurationError`."""
        if self._key is None:
            version, salt, check = [*self.salt_state.split(":", 2), "", ""][:3]
            try:
                if version != "v1" or not check:
                    raise ValueError
                key = hashlib.pbkdf2_hmac("sha256", self.phrase().encode(), base64.b64decode(salt), _rounds)
            except ValueError as error:
                raise ConfigurationError("encryptionsalt is malformed: restore the stack's YAML file") from error
            if _open(key, check) != "pulumi":
                raise WrongPassphrase(f"incorrect passphrase: set {_variables} to this stack's passphrase")
            self._key = key
        return self._key

    def encrypt(self, text: str) -> str:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM  # 50 ms that most verbs do not need

        nonce = os.urandom(12)
        sealed = AESGCM(self.unlock()).encrypt(nonce, text.encode(), None)
        return f"v1:{base64.b64encode(nonce).decode()}:{base64.b64encode(sealed).decode()}"

    def decrypt(self, sealed: str) -> str:
        """Raises :class:`WrongPassphrase` when the value was sealed with another key, or altered."""
        text = _open(self.unlock(), sealed)
        if text is None:
            raise WrongPassphrase("a secret cannot be decrypted: it was encrypted with another salt, or altered")
        return text


def _open(key: bytes, sealed: str) -> str | None:
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    parts = sealed.split(":")
    if len(parts) != 3 or parts[0] != "v1":
        return None
    try:
        return AESGCM(key).decrypt(base64.b64decode(parts[1]), base64.b64decode(parts[2]), None).decode()
    except (InvalidTag, binascii.Error, ValueError):
        return None
