"""Proof that a client has the private half of a WireGuard key.

X25519 keys cannot sign.  So the server makes a key pair for the occasion; both sides compute the shared secret,
and the client shows that it could by a MAC under it.  The MAC names the pass and the key, so that it proves nothing
about others.  Pure: server and client use the same functions.
"""

from __future__ import annotations

import hmac
from base64 import b64encode
from typing import Final

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

context: Final = b"berth key possession v1"
nonce_size: Final = 32  # bytes


def public_of(private: X25519PrivateKey) -> str:
    """The public half, base64."""
    return b64encode(private.public_key().public_bytes_raw()).decode()


def proof(own: X25519PrivateKey, peer: bytes, nonce: bytes, token: int, key: bytes) -> bytes:
    """HMAC-SHA256 under the secret shared by ``own`` and ``peer`` (32 bytes); ``key``: the WireGuard key proved.

    ValueError where ``peer`` is a point of small order.
    """
    secret = own.exchange(X25519PublicKey.from_public_bytes(peer))
    return hmac.digest(secret, context + nonce + token.to_bytes(32, "big") + key, "sha256")
