"""What can go wrong for a client of the access API, besides what can for every client (``berth/kit/client.py``).

::

    ClientError
    ├── WrongUsage
    │   └── WalletError    the account's key cannot be read or used
    ├── Unreachable
    ├── ApiRefused         its reasons: berth/access/api/errors.py
    ├── Untrusted          the service asks to sign something else than it should
    └── NothingToUse       no pass, or no node, that could be used
"""

from __future__ import annotations

from berth.kit.client import ClientError, WrongUsage


class WalletError(WrongUsage):
    """The account's key cannot be read or used."""


class Untrusted(ClientError):
    """The service asks to sign something else than it should."""


class NothingToUse(ClientError):
    """There is no pass, or no node, that could be used."""
