"""What can go wrong for a client.

::

    ClientError
    ├── WrongUsage         what the caller gave cannot be used as it is
    │   └── WalletError    the account's key cannot be read or used
    ├── Unreachable        the service does not answer; trying again may help
    ├── ApiRefused         the service refused; ``reason`` says why (berth/access/api/errors.py)
    ├── Untrusted          the service asks to sign something else than it should
    └── NothingToUse       no pass, or no node, that could be used
"""

from __future__ import annotations


class ClientError(Exception):
    """Anything on the way; the message is fit for the person who asked."""


class WrongUsage(ClientError):
    """What the caller gave cannot be used as it is: a URL that is none, a file that cannot be read."""


class WalletError(WrongUsage):
    """The account's key cannot be read or used."""


class Unreachable(ClientError):
    """The service does not answer; trying again may help."""


class ApiRefused(ClientError):
    """The service refused: HTTP ``status``, ``reason`` code, ``retry_after`` seconds where it may work later."""

    def __init__(self, message: str, status: int, reason: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.status, self.reason, self.retry_after = status, reason, retry_after


class Untrusted(ClientError):
    """The service asks to sign something else than it should."""


class NothingToUse(ClientError):
    """There is no pass, or no node, that could be used."""
