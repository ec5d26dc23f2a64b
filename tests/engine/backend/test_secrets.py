"""Encryption by passphrase: known answers, round trips, and every way to be refused."""

from __future__ import annotations

import pytest

from engine.backend.errors import ConfigurationError, WrongPassphrase
from engine.backend.secrets import PassphraseManager, passphrase_from_environment

# The vector of Pulumi's own unit tests (pkg/secrets/passphrase): passphrase "password".
salt_state = "v1:fozI5u6B030=:v1:F+6ZduKKd8G0/V7L:PGMFeIzwobWRKmEAzUdaQHqC5mMRIQ=="
# Made apart from the engine, with that key and a nonce of twelve zero bytes, from `"hunter2"` in quotes.
known_sealed = "v1:AAAAAAAAAAAAAAAA:{body}"


def test_opens_pulumis_own_vector() -> None:
    assert len(PassphraseManager(salt_state, lambda: "password").unlock()) == 32


def test_agrees_with_an_independent_derivation() -> None:
    import base64

    from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

    key = PBKDF2HMAC(SHA256(), 32, base64.b64decode("fozI5u6B030="), 1_000_000).derive(b"password")
    body = base64.b64encode(AESGCM(key).encrypt(bytes(12), b'"hunter2"', None)).decode()
    manager = PassphraseManager(salt_state, lambda: "password")
    assert manager.unlock() == key
    assert manager.decrypt(known_sealed.format(body=body)) == '"hunter2"'


def test_a_new_manager_is_opened_by_its_salt_and_passphrase() -> None:
    made = PassphraseManager.new(lambda: "")
    sealed = made.encrypt("geheim ☃")
    assert sealed != made.encrypt("geheim ☃")  # a nonce is never used twice
    assert PassphraseManager(made.salt_state, lambda: "").decrypt(sealed) == "geheim ☃"


@pytest.mark.parametrize("phrase", ["password123", ""])
def test_a_wrong_passphrase_is_named(phrase: str) -> None:
    with pytest.raises(WrongPassphrase, match=r"incorrect passphrase: set PULUMI_CONFIG_PASSPHRASE"):
        PassphraseManager(salt_state, lambda: phrase).decrypt("v1:AAAA:AAAA")


@pytest.mark.parametrize("state", ["", "v2:a:b", "fozI5u6B030=:v1:F+6ZduL:PGMF", "v1:fozI5u6B030="])
def test_a_malformed_salt_is_refused(state: str) -> None:
    with pytest.raises(ConfigurationError, match="encryptionsalt is malformed"):
        PassphraseManager(state, lambda: "password").unlock()


@pytest.mark.parametrize("sealed", ["", "plain", "v1:AAAA:AAAA", "v1:AAAAAAAAAAAAAAAA:!!", "v2:AAAAAAAAAAAAAAAA:AAAA"])
def test_an_altered_secret_is_refused(sealed: str) -> None:
    with pytest.raises(WrongPassphrase, match="altered"):
        PassphraseManager(salt_state, lambda: "password").decrypt(sealed)


def test_where_the_passphrase_comes_from(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    from pathlib import Path

    file = Path(str(tmp_path)) / "phrase"
    file.write_text("from file\n", encoding="utf-8")
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE", raising=False)
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(file))
    assert passphrase_from_environment(interactive=False) == "from file"
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "")
    assert passphrase_from_environment(interactive=False) == ""  # empty is a passphrase
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE_FILE", str(file) + ".gone")
    with pytest.raises(ConfigurationError, match="No such file"):
        passphrase_from_environment(interactive=False)
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE_FILE")
    with pytest.raises(ConfigurationError, match="passphrase must be set"):
        passphrase_from_environment(interactive=False)
