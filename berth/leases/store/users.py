"""Users in MongoDB: a name, the hash of an API token, and the wallet that it belongs to, if any."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Final

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError

from berth.leases.errors import Refused

_prefix: Final = "berth_"
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

    async def register(self, username: str, wallet: str | None) -> tuple[User, str]:
        """A new user and their token, or a known wallet's new token; Refused where the name is somebody's."""
        if username in reserved:
            raise Refused(409, "username-reserved", f"{username} is no name for a user: choose another")
        token = _prefix + secrets.token_urlsafe(32)
        user = User(username, datetime.now(UTC).replace(microsecond=0), wallet)
        document = {"_id": username, "token": _hash(token), "created": user.created, "wallet": wallet}
        try:
            await self._users.insert_one(document)
        except DuplicateKeyError as error:
            if wallet is None:
                raise _taken(username) from error
            # The wallet itself asks, which the sign-in proved: a lost token is replaced.
            changed = await self._users.find_one_and_update(
                {"_id": username, "wallet": wallet}, {"$set": {"token": document["token"]}}
            )
            if changed is None:
                raise await self._refusal(username, wallet) from error
            return User(username, changed["created"], wallet), token
        return user, token

    async def _refusal(self, username: str, wallet: str) -> Refused:
        other = await self.of_wallet(wallet)
        if other is not None and other != username:
            return Refused(409, "wallet-taken", f"this wallet is registered as {other}")
        return _taken(username)

    async def of_token(self, token: str) -> User | None:
        """Whose token it is."""
        if not token.startswith(_prefix) or len(token) > 128:
            return None
        found = await self._users.find_one({"token": _hash(token)})
        return User(found["_id"], found["created"], found["wallet"]) if found else None

    async def of_wallet(self, wallet: str) -> str | None:
        """The name that a wallet registered."""
        found = await self._users.find_one({"wallet": wallet})
        return str(found["_id"]) if found else None

    async def exists(self, username: str) -> bool:
        return await self._users.find_one({"_id": username}, {"_id": 1}) is not None

    async def count(self) -> int:
        return await self._users.estimated_document_count()


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()


def _taken(username: str) -> Refused:
    return Refused(409, "username-taken", f"{username} is taken: choose another name")
