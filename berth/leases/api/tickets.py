"""Sessions at the gateway: short-lived tokens (JWT, HS256) that name one lease, which HAProxy verifies by itself."""

from __future__ import annotations

import hmac
import json
import secrets
from base64 import urlsafe_b64encode
from typing import Any, Final

_header: Final = {"alg": "HS256", "typ": "JWT"}


def make(key: str, stack: str, name: str, lease: str, now: float, until: float) -> tuple[str, dict[str, Any]]:
    """(token, its claims): good for the lease ``name`` until ``until`` (unix seconds).

    ``aud`` is the container that it opens; ``jti`` the lease's id and, after a dot, what tells its sessions apart.
    """
    claims = {
        "aud": f"berth-{stack}-lease-{name}",
        "jti": f"{lease}.{secrets.token_hex(12)}",
        "iat": int(now),
        "exp": int(until),
    }
    signed = f"{_encode(_header)}.{_encode(claims)}"
    mac = hmac.digest(key.encode(), signed.encode(), "sha256")
    return f"{signed}.{_base64(mac)}", claims


def _encode(value: dict[str, Any]) -> str:
    return _base64(json.dumps(value, separators=(",", ":")).encode())


def _base64(raw: bytes) -> str:
    return urlsafe_b64encode(raw).decode().rstrip("=")
