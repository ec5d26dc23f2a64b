"""The node's key pair: made on the node, kept on its volume, and the private half never leaves it."""

from __future__ import annotations

from base64 import b64decode, b64encode
from binascii import Error as NotBase64
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from pydantic import SecretStr

from berth.vpn.errors import StoreDamaged
from berth.vpn.files import write_atomic

private_name, public_name = "private.key", "public.key"


def is_key(text: str) -> bool:
    """Whether ``text`` is 32 bytes in base64, the one form that ``wg`` prints and takes."""
    try:
        raw = b64decode(text, validate=True)
    except (NotBase64, ValueError):
        return False
    return len(raw) == 32 and b64encode(raw).decode() == text


def ensure_keys(directory: Path, given: SecretStr | None = None) -> str:
    """The public key; both files are made on the first start (private 0600, public 0644), or hold the key ``given``.

    The private key is only ever a file that ``wg`` reads by name: not an argument, not a variable, not a log line.
    StoreDamaged where the private key on the volume is none.
    """
    private = directory / private_name
    try:
        text = private.read_text().strip()
    except FileNotFoundError:
        text = ""
    if given is not None and given.get_secret_value() != text:
        text = given.get_secret_value()
        write_atomic(private, text + "\n", 0o600)
    if not text and not private.exists():
        text = b64encode(X25519PrivateKey.generate().private_bytes_raw()).decode()
        write_atomic(private, text + "\n", 0o600)
    if not is_key(text):
        raise StoreDamaged(
            f"{private} holds no WireGuard key: restore it from a backup, or remove it to get a new one "
            "(clients then need the node's new public key)"
        )
    private.chmod(0o600)
    public = b64encode(X25519PrivateKey.from_private_bytes(b64decode(text)).public_key().public_bytes_raw()).decode()
    published = directory / public_name
    if not published.exists() or published.read_text().strip() != public:
        write_atomic(published, public + "\n", 0o644)
    return public
