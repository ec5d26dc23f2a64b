"""Leases in MongoDB: what is wanted, acknowledged by a majority before anything is done about it.

Quotas are unique indexes.  A lease takes the place ``slot`` of the stack's places and ``user_slot`` of its user's, so a
place is taken by the very insert that makes the lease, given back by the very update that ends it, and no crash in
between can leak one.  The same holds for subnets, names, idempotency keys and the one container of a user.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, fields, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pymongo import ASCENDING, DESCENDING, AsyncMongoClient
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.errors import DuplicateKeyError, PyMongoError
from pymongo.read_concern import ReadConcern
from pymongo.write_concern import WriteConcern

from berth.leases.errors import Refused, Temporary
from berth.leases.model import Deadline, Failed, Lease, Phase, minted_at

_collection: Final = "leases"
_default_database: Final = "berth"
_live: Final = [phase.value for phase in Phase if phase is not Phase.gone]
_tries: Final = 50
_failed_keep: Final = timedelta(days=1)  # so that somebody sees what could not be made

Change = Callable[[Lease], Lease]


class Taken(Exception):
    """Another lease has this already; ``what`` names the index: name, key, sole, subnet or _id."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


class Full(Exception):
    """No place is free: of the stack (``user`` False) or of the user."""

    def __init__(self, user: bool) -> None:
        super().__init__("user" if user else "stack")
        self.user = user


class Vanished(Exception):
    """There is no record of this lease."""


def connect(uri: str) -> AsyncDatabase[dict[str, Any]]:
    """The database that the URI names (``berth`` where it names none); majority in and out, no patience beyond 3 s."""
    client: AsyncMongoClient[dict[str, Any]] = AsyncMongoClient(
        uri, serverSelectionTimeoutMS=3000, connectTimeoutMS=3000, socketTimeoutMS=10_000, tz_aware=True
    )
    name = client.get_default_database(_default_database).name
    return client.get_database(
        name, write_concern=WriteConcern("majority", wtimeout=8000), read_concern=ReadConcern("majority")
    )


class Store:
    """Of one stack; ``most`` leases at once, ``most_of_user`` of one user."""

    def __init__(self, database: AsyncDatabase[dict[str, Any]], most: int, most_of_user: int, keep: timedelta) -> None:
        self._leases: AsyncCollection[dict[str, Any]] = database[_collection]
        self._database, self._keep = database, keep
        self.most, self.most_of_user = most, most_of_user
        self._placing = asyncio.Lock()
        self._held: set[tuple[str, str, int | None]] = set()  # places that inserts of this process are about to take

    async def prepare(self) -> None:
        """Makes the indexes; safe to repeat."""
        number, text = {"$type": "number"}, {"$type": "string"}
        unique: list[tuple[list[tuple[str, int]], dict[str, Any]]] = [
            ([("slot", ASCENDING)], {"slot": number}),
            ([("user", ASCENDING), ("user_slot", ASCENDING)], {"user_slot": number}),
            ([("subnet", ASCENDING)], {"subnet": number}),
            ([("user", ASCENDING), ("key", ASCENDING)], {"key": text}),
            ([("sole", ASCENDING)], {"sole": text}),
        ]
        for keys, where in unique:
            await self._leases.create_index(keys, unique=True, partialFilterExpression=where)
        await self._leases.create_index("name", unique=True)
        await self._leases.create_index([("user", ASCENDING), ("created", DESCENDING), ("_id", DESCENDING)])
        await self._leases.create_index("phase")
        await self._leases.create_index("purge", expireAfterSeconds=0)

    async def ping(self) -> None:
        await self._database.command("ping")

    # ------------------------------------------------------------ writing

    async def insert(self, lease: Lease, subnets: int = 0) -> Lease:
        """The lease with its places; ``subnets``: how many there are, where it needs one.  Full, Taken, Temporary."""
        for _ in range(_tries):
            async with self._placing:
                placed = await self._place(lease, subnets)
                held = {("slot", "", placed.slot), ("user", lease.user, placed.user_slot), ("net", "", placed.subnet)}
                self._held |= held
            try:
                with answering():
                    await self._leases.insert_one(_document(placed))
            except DuplicateKeyError as error:
                what = _which(error)
                if what in ("slot", "user_slot") or (what == "subnet" and subnets):
                    continue  # another manager was faster
                raise Taken(what) from error
            finally:
                self._held -= held
            return placed
        raise Temporary("the places of leases are fought for: try again")

    async def update(self, identifier: str, change: Change) -> tuple[Lease, Lease]:
        """(before, after), read, changed and written if nobody else did so in between; else anew.

        ``change`` returns its argument for "nothing to do", and may raise to refuse.  Vanished, Temporary.
        """
        for _ in range(_tries):
            before = await self.get(identifier)
            if before is None:
                raise Vanished(identifier)
            after = change(before)
            if after is before or await self.swap(before, after):
                return before, after
        raise Temporary(f"lease {identifier} changes too fast: try again")

    async def move(self, lease: Lease, subnets: int) -> None:
        """Gives a lease another subnet than it has, where something else is in the way of that one."""
        placed = await self._place(lease, subnets)
        try:
            await self.swap(lease, lease.changed(subnet=placed.subnet))
        except Taken as error:
            raise Temporary(f"a subnet was taken meanwhile: {error}") from error

    async def swap(self, before: Lease, after: Lease) -> bool:
        """Writes ``after`` if the lease is still in the generation of ``before``."""
        document = _document(after)
        if after.phase is Phase.gone:
            kept = max(self._keep, _failed_keep) if after.ended_by == "failed" else self._keep
            document["purge"] = datetime.now(UTC) + kept
        try:
            with answering():
                done = await self._leases.replace_one({"_id": before.id, "generation": before.generation}, document)
        except DuplicateKeyError as error:
            raise Taken(_which(error)) from error
        return done.matched_count == 1

    # ------------------------------------------------------------ reading

    async def get(self, identifier: str) -> Lease | None:
        """One lease, ended ones included while they are kept."""
        return await self._one({"_id": identifier})

    async def of_key(self, user: str, key: str) -> Lease | None:
        """The lease that an idempotency key made."""
        return await self._one({"user": user, "key": key})

    async def sole(self, user: str) -> Lease | None:
        """The one container of a user."""
        return await self._one({"sole": user})

    async def all_live(self) -> list[Lease]:
        """Every lease that is not gone."""
        return [lease async for lease in self._find({"phase": {"$in": _live}})]

    async def ended_since(self, at: float) -> list[Lease]:
        """Leases that are ending now, or ended since then (unix seconds), as far as they are kept."""
        ending = {"phase": {"$in": [Phase.expiring.value, Phase.deleting.value]}}
        return [lease async for lease in self._find({"$or": [ending, {"ended_at": {"$gte": at}}]})]

    async def failing(self) -> list[Lease]:
        """Live leases whose last step failed, and those that failed for good lately."""
        return [lease async for lease in self._find({"failed": {"$ne": None}})]

    async def page(
        self, user: str | None, before: str | None, limit: int, phases: list[Phase] | None
    ) -> tuple[list[Lease], int]:
        """Up to ``limit`` leases older than that of id ``before``, the newest first, and how many there are in all.

        The id says when a container was made, which for one from the pool was long before it became a lease.
        """
        where: dict[str, Any] = {"phase": {"$in": [p.value for p in phases]}} if phases is not None else {}
        if user is not None:
            where["user"] = user
        older = where
        if before is not None:
            last = await self.get(before)
            created = minted_at(before) if last is None else last.created
            older = {**where, "$or": [{"created": {"$lt": created}}, {"created": created, "_id": {"$lt": before}}]}
        with answering():
            newest = self._leases.find(older).sort([("created", DESCENDING), ("_id", DESCENDING)]).limit(limit)
            return [_lease(d) async for d in newest], await self._leases.count_documents(where)

    async def count(self, user: str | None = None) -> int:
        """Live leases, of one user or all."""
        where: dict[str, Any] = {"phase": {"$in": _live}}
        with answering():
            return await self._leases.count_documents(where if user is None else {**where, "user": user})

    async def phases(self) -> dict[str, int]:
        """How many leases are in which phase."""
        with answering():
            cursor = await self._leases.aggregate([{"$group": {"_id": "$phase", "n": {"$sum": 1}}}])
            return {one["_id"]: one["n"] async for one in cursor}

    async def next_end(self, user: str | None) -> Lease | None:
        """The live lease that ends first: when a place becomes free."""
        where: dict[str, Any] = {"phase": {"$in": _live}}
        if user is not None:
            where["user"] = user
        with answering():
            found = self._leases.find(where).sort("expires.at", ASCENDING).limit(1)
            return next(iter([_lease(one) async for one in found]), None)

    async def _place(self, lease: Lease, subnets: int) -> Lease:
        wanted = {"slot": 1, "user_slot": 1, "user": 1, "subnet": 1}
        slots = {n for kind, _, n in self._held if kind == "slot"}
        mine = {n for kind, user, n in self._held if kind == "user" and user == lease.user}
        nets = {n for kind, _, n in self._held if kind == "net"}
        with answering():
            async for found in self._leases.find({"phase": {"$in": _live}}, wanted):
                slots.add(found["slot"])
                nets.add(found["subnet"])
                if found["user"] == lease.user:
                    mine.add(found["user_slot"])
        slot, own = _free(self.most, slots), _free(self.most_of_user, mine)
        if own is None or slot is None:
            raise Full(user=own is None)
        subnet = _any_free(subnets, nets) if subnets else None
        if subnets and subnet is None:
            raise Refused(429, "no-subnet", "every network for leases of several containers is in use", retry_after=60)
        return replace(lease, slot=slot, user_slot=own, subnet=subnet)

    async def _one(self, where: Mapping[str, Any]) -> Lease | None:
        with answering():
            found = await self._leases.find_one(where)
        return _lease(found) if found else None

    async def _find(self, where: Mapping[str, Any]) -> AsyncIterator[Lease]:
        with answering():
            async for found in self._leases.find(where).sort("_id", ASCENDING):
                yield _lease(found)


def ended(lease: Lease, now: float) -> Lease:
    """The lease gone, with everything given back that others may have now.

    What failed on the way is over with it; why it could not be made stays, for its holder and the operator to see.
    """
    failed = lease.failed if lease.ended_by == "failed" else None
    return lease.to(Phase.gone, ended_at=now, slot=None, user_slot=None, subnet=None, sole=None, failed=failed)


def _free(count: int, used: set[int | None]) -> int | None:
    return next((n for n in range(count) if n not in used), None)


def _any_free(count: int, used: set[int | None]) -> int | None:
    """Any of them: what was given back last is still being taken down, and others may use the same range."""
    free = [n for n in range(count) if n not in used]
    return random.choice(free) if free else None


def _which(error: DuplicateKeyError) -> str:
    pattern = (error.details or {}).get("keyPattern") or {}
    return list(pattern)[-1] if pattern else "unknown"


@contextmanager
def answering() -> Iterator[None]:
    """MongoDB's silence and faults as Temporary; what it says of duplicates is the caller's."""
    try:
        yield
    except DuplicateKeyError:
        raise
    except PyMongoError as error:
        told = f"MongoDB does not answer as it should: {type(error).__name__}: {str(error)[:200]}"
        raise Temporary(told) from error


def _document(lease: Lease) -> dict[str, Any]:
    made = asdict(lease)
    made["_id"] = made.pop("id")
    made["phase"] = lease.phase.value
    for name in _tuples:
        made[name] = list(made[name])
    return made


_tuples: Final = ("warned", "extensions", "revoked")
_known: Final = {field.name for field in fields(Lease)} - {"id"}


def _lease(document: Mapping[str, Any]) -> Lease:
    given = {name: document[name] for name in _known if name in document}
    given["expires"] = Deadline(**document["expires"])
    given["failed"] = Failed(**document["failed"]) if document.get("failed") else None
    given["phase"] = Phase(document["phase"])
    for name in _tuples:
        given[name] = tuple(document[name])
    return Lease(id=document["_id"], **given)
