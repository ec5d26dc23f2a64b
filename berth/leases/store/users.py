"""Users in MongoDB: a name, the hash of an API token, and the wallet that it belongs to, if any."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from berth.leases.errors import Refused
from berth.leases.store.leases import answering

_prefix: Final = "berth_"
_secret_key: Final = 16  # characters of an idempotency key that nobody else would guess
_again: Final = timedelta(minutes=2)
reserved: Final = frozenset({"admin", "guest", "me", "root", "berth"})


@dataclass(frozen=True)
class User:
    username: str
    created: datetime
    wallet: str | None = None


@dataclass(frozen=True)
class Caller:
    """``named``: only said so, with LEASE_ACCESS=open."""

    username: str
    admin: bool = False
    wallet: str | None = None
    named: bool = False


class Users:
    """A token has 256 random bits, so a fast hash keeps it as well as a slow one would."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]]) -> None:
        self._users: AsyncCollection[dict[str, Any]] = database["lease_users"]

    async def prepare(self) -> None:
        """Makes the indexes."""
        await self._users.create_index("token", unique=True)
        given = {"wallet": {"$type": "string"}}
        await self._users.create_index("wallet", unique=True, partialFilterExpression=given)

    async def register(self, username: str, wallet: str | None, key: str | None = None) -> tuple[User, str]:
        """A new user and their token, or a known wallet's new token; Refused where the name is somebody's.

        The same ``key`` again, soon, gives that user another token: for whoever never got the first answer.
        """
        if username in reserved:
            raise Refused(409, "username-reserved", f"{username} is no name for a user: choose another")
        token, now = _prefix + secrets.token_urlsafe(32), datetime.now(UTC).replace(microsecond=0)
        document = {"_id": username, "token": _hash(token), "created": now, "wallet": wallet}
        with answering():
            try:
                await self._users.insert_one(document if key is None else {**document, "key": _hash(key)})
            except DuplicateKeyError as error:
                created = await self._renewed(username, wallet, key, token)
                if created is None:
                    raise (_taken(username) if wallet is None else await self._refusal(username, wallet)) from error
                return User(username, created, wallet), token
        return User(username, now, wallet), token

    async def _renewed(self, username: str, wallet: str | None, key: str | None, token: str) -> datetime | None:
        """When the user was made who has ``token`` from now on; None where the caller is not that user."""
        if wallet is not None:  # the wallet itself asks, which the sign-in proved: a lost token is replaced
            theirs: dict[str, Any] = {"wallet": wallet}
        elif key is not None and len(key) >= _secret_key:
            theirs = {"wallet": None, "key": _hash(key), "created": {"$gte": datetime.now(UTC) - _again}}
        else:
            return None
        changed = await self._users.find_one_and_update({"_id": username, **theirs}, {"$set": {"token": _hash(token)}})
        return None if changed is None else changed["created"]

    async def _refusal(self, username: str, wallet: str) -> Refused:
        other = await self.of_wallet(wallet)
        if other is not None and other != username:
            return Refused(409, "wallet-taken", f"this wallet is registered as {other}")
        return _taken(username)

    async def of_token(self, token: str) -> User | None:
        """Whose token it is."""
        if not token.startswith(_prefix) or len(token) > 128:
            return None
        with answering():
            found = await self._users.find_one({"token": _hash(token)})
        return User(found["_id"], found["created"], found["wallet"]) if found else None

    async def of_wallet(self, wallet: str) -> str | None:
        """The name that a wallet registered."""
        with answering():
            found = await self._users.find_one({"wallet": wallet})
        return str(found["_id"]) if found else None

    async def exists(self, username: str) -> bool:
        with answering():
            return await self._users.find_one({"_id": username}, {"_id": 1}) is not None

    async def count(self) -> int:
        with answering():
            return await self._users.estimated_document_count()


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _taken(username: str) -> Refused:
    return Refused(409, "username-taken", f"{username} is taken: choose another name")
