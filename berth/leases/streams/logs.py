"""What leases write, for whoever reads along: nothing lost or doubled between cursors, and gaps said aloud.

One collector per container that somebody reads: it follows Docker, keeps the last lines, and puts them into a Redis
stream.  A reader gets what it has not seen from the nearest place that has it all: the collector, Redis, Docker.  Only
what none of them has any more is a gap.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_right
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing, suppress
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from berth.kit.logging import get_logger
from berth.kit.tasks import end
from berth.leases.dock import Conflict, Dock, Missing
from berth.leases.errors import LeaseError, Refused
from berth.leases.model import Lease, Phase, why
from berth.leases.names import Names
from berth.leases.streams.lines import Cursor, End, Gap, Line, Numbering, Position, Record, parse_cursor, start

kept_here: Final = 2_000  # lines per container in the collector
kept_here_bytes: Final = 512 * 1024
kept_in_redis: Final = 5_000
kept_in_redis_bytes: Final = 256 * 1024  # about: of all leases' together there has to be room
_entry: Final = 64  # bytes of an entry besides its text
_waiting: Final = 512  # lines from Docker, each of 16 KiB at most
_chunk: Final = 1_000  # lines read from Redis or Docker at once
_overlap: Final = 2.0  # seconds read again, so that positions are counted from the same line
_linger: Final = 30.0  # seconds that a collector goes on without readers
_retry: Final = 0.5
_flush: Final = 0.05  # seconds that lines may wait to go to Redis together
_there_already: Final = "equal or smaller than the target stream top item"
_last_words: Final = 1.0  # seconds to save what was written before a container goes

Find = Callable[[str], Awaitable[Lease | None]]
"""The lease of an id, also one that was not looked at yet since the start."""


class Collector:
    """Of one container.  ``changed`` is set anew whenever there are lines, or the end."""

    def __init__(self) -> None:
        self.lines: deque[Line] = deque()
        self._size = 0
        self.changed = asyncio.Event()
        self.readers = 0
        self.whole = False  # whether ``lines`` begins with the container's first line
        self.caught_up = False
        self.task: asyncio.Task[None] | None = None

    def add(self, lines: list[Line]) -> None:
        self.lines.extend(lines)
        self._size += sum(len(line.text) for line in lines)
        while len(self.lines) > kept_here or (self._size > kept_here_bytes and len(self.lines) > 1):
            self._size -= len(self.lines.popleft().text)
            self.whole = False
        self.tell()

    def tell(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def covers(self, cursor: Cursor) -> bool:
        """Whether everything after ``cursor`` is here."""
        if cursor == start:
            return self.whole
        return bool(self.lines and self.lines[0].at <= cursor.at)

    def after(self, cursor: Cursor) -> list[Line]:
        """The lines past ``cursor``."""
        held = list(self.lines)
        return held[bisect_right(held, cursor.at, key=lambda line: line.at) :]


class Logs:
    """Of one stack."""

    def __init__(self, dock: Dock, redis: Redis, names: Names, stack: str, keep_seconds: int, find: Find) -> None:
        self._dock, self._redis, self._names, self._prefix = dock, redis, names, f"berth:{stack}:logs"
        self._keep, self._find = keep_seconds, find
        self._collectors: dict[tuple[str, str], Collector] = {}
        self._log = get_logger("logs")
        self.gaps = 0
        self.redis_error: str | None = None

    async def stop(self) -> None:
        await end(*(one.task for one in list(self._collectors.values()) if one.task is not None))

    # ------------------------------------------------------------ reading

    async def page(self, lease: Lease, role: str, after: str | None, limit: int) -> tuple[list[Record], Cursor, bool]:
        """Up to ``limit`` records past a cursor, none waited for; where to go on, and whether there is more."""
        cursor, records = _cursor(after), list[Record]()
        while len(records) <= limit:
            found = await self._history(lease, role, cursor, None)
            if not found:
                break
            records += found
            cursor = _position(found[-1])
            if isinstance(found[-1], Gap):
                break
        more, records = len(records) > limit, records[:limit]
        return records, _position(records[-1]) if records else _cursor(after), more

    async def follow(self, lease: Lease, role: str, after: str | None) -> AsyncGenerator[list[Record], None]:
        """Batches of records past a cursor (from the first line without one), then as they are written, to the end."""
        cursor, found = _cursor(after), list[Record]()
        if lease.phase is Phase.gone:
            while found := await self._history(lease, role, cursor, None):
                yield found
                cursor = _position(found[-1])
            yield [End(cursor, f"the lease is over: {why(lease)}")]
            return
        collector = self._collector(lease.id, role)
        collector.readers += 1
        try:
            while True:
                changed = collector.changed
                if collector.covers(cursor):
                    found = list(collector.after(cursor))
                elif collector.lines:
                    found = await self._joined(lease, role, cursor, list(collector.lines))
                elif collector.caught_up:
                    found = await self._history(lease, role, cursor, None)
                else:
                    found = []
                if found:
                    cursor = _position(found[-1])
                    yield found
                    continue
                if collector.task is None or collector.task.done():
                    now = await self._find(lease.id) or lease
                    if now.phase is not Phase.gone:
                        collector = self._replaced(collector, lease.id, role)
                        continue
                    yield [End(cursor, f"the lease is over: {why(now)}")]
                    return
                await changed.wait()
        finally:
            collector.readers -= 1

    async def _joined(self, lease: Lease, role: str, cursor: Cursor, held: list[Line]) -> list[Record]:
        """What is between ``cursor`` and the lines that the collector holds, else these, after a gap if need be."""
        first = held[0]
        if cursor.number and first.cursor.number == cursor.number + 1:
            return [*held]
        found = await self._history(lease, role, cursor, first)
        if not found:
            return [*held]
        return [*found, *held] if isinstance(found[-1], Gap) else found

    async def _history(self, lease: Lease, role: str, cursor: Cursor, before: Line | None) -> list[Record]:
        """Some records past ``cursor`` and before ``before``, from Redis, else from Docker; a gap first if need be."""
        kept = await self._from_redis(lease.id, role, cursor, before)
        if kept and kept[0].cursor.number == cursor.number + 1:
            return list(kept)
        until = kept[0] if kept else before
        written, complete = await self._from_docker(lease, role, cursor, until)
        if written:
            lines = _numbered(written, cursor if complete else None, until)
            if complete:
                return [*lines]
            return [self._gap(cursor, lines[0]), *lines] if cursor != start else [*lines]
        if kept:
            return [*kept] if complete or cursor == start else [self._gap(cursor, kept[0]), *kept]
        if before is not None and not complete and cursor != start:
            return [self._gap(cursor, before)]
        return []

    def _gap(self, cursor: Cursor, first: Line) -> Gap:
        self.gaps += 1
        lost = first.cursor.number - cursor.number - 1
        return Gap(cursor, first.cursor, lost if cursor.number and first.cursor.number and lost > 0 else None)

    async def _from_redis(self, lease: str, role: str, cursor: Cursor, before: Line | None) -> list[Line]:
        """Lines without a hole among them."""
        highest = f"({before.at}" if before is not None else "+"
        try:
            found: Any = await self._redis.xrange(self._key(lease, role), f"({cursor.at}", highest, _chunk)
        except (RedisError, OSError) as error:
            self.redis_error = str(error)
            return []
        lines = [_line(raw, fields) for raw, fields in found or ()]
        for index in range(1, len(lines)):
            if lines[index].cursor.number != lines[index - 1].cursor.number + 1:
                return lines[:index]
        return lines

    async def _from_docker(
        self, lease: Lease, role: str, cursor: Cursor, before: Line | None
    ) -> tuple[list[Line], bool]:
        """(lines, whether nothing is missing between ``cursor`` and the first of them)."""
        name = self._names.container(lease, role)
        since = max(0.0, cursor.at.seconds - _overlap) if cursor != start else None
        numbering, lines, complete = Numbering(), list[Line](), cursor == start
        try:
            async with aclosing(self._dock.log(name, since, follow=False)) as source:
                async for error, raw in source:
                    line = numbering.line(error, raw)
                    if line.at <= cursor.at:
                        complete = True
                    elif before is not None and line.at >= before.at:
                        break
                    else:
                        lines.append(line)
                        if len(lines) >= _chunk:
                            break
        except (LeaseError, Missing, Conflict):
            return lines, complete and bool(lines)
        return lines, complete

    # ------------------------------------------------------------ collecting

    def _collector(self, lease: str, role: str) -> Collector:
        key = (lease, role)
        collector = self._collectors.get(key)
        if collector is None:
            collector = self._collectors[key] = Collector()
            collector.task = asyncio.create_task(self._collect(lease, role, collector))
        return collector

    def _replaced(self, ended: Collector, lease: str, role: str) -> Collector:
        """Another collector for a reader whose own ended though the lease did not."""
        ended.readers -= 1
        made = self._collector(lease, role)
        made.readers += 1
        return made

    async def _collect(self, lease: str, role: str, collector: Collector) -> None:
        loop, read_until = asyncio.get_running_loop(), asyncio.get_running_loop().time()
        try:
            last = await self._last(lease, role)
            numbering = Numbering(last.at, last.number)
            collector.whole = last == start
            while True:
                try:
                    known = await self._find(lease)
                except LeaseError:
                    await asyncio.sleep(_retry)  # not known is not gone
                    continue
                if known is None or known.phase is Phase.gone:
                    return
                await self._read(known, role, collector, numbering)
                collector.caught_up = True
                collector.tell()
                read_until = loop.time() if collector.readers else read_until
                if loop.time() - read_until > _linger:
                    return
                await asyncio.sleep(_retry)
        finally:
            if self._collectors.get((lease, role)) is collector:
                del self._collectors[(lease, role)]
            collector.tell()

    async def _read(self, lease: Lease, role: str, collector: Collector, numbering: Numbering) -> None:
        """Follows the container until it stops, or nobody reads any more."""
        seen = numbering.last
        since = seen.seconds - _overlap if seen != start.at else None
        # The lines that are read again are numbered by themselves: only what is past the last one counts on.
        again = Numbering()
        queue: asyncio.Queue[tuple[bool, bytes] | None] = asyncio.Queue(_waiting)
        reader = asyncio.create_task(self._pump(self._names.container(lease, role), since, queue))
        quiet_since = asyncio.get_running_loop().time()
        try:
            while True:
                batch: list[Line] = []
                with suppress(TimeoutError):
                    async with asyncio.timeout(_retry):
                        item = await queue.get()
                        while True:
                            if item is None:
                                await self._keep_lines(lease.id, role, collector, batch)
                                return
                            error, raw = item
                            if seen != start.at:
                                copy = again.line(error, raw)
                                if copy.at <= seen:
                                    item = queue.get_nowait() if not queue.empty() else await queue.get()
                                    continue
                                seen = start.at
                            batch.append(numbering.line(error, raw))
                            if queue.empty() or len(batch) >= _chunk:
                                break
                            item = queue.get_nowait()
                if batch:
                    await self._keep_lines(lease.id, role, collector, batch)
                    if len(batch) < 50:
                        await asyncio.sleep(_flush)
                elif not collector.caught_up:
                    collector.caught_up = True
                    collector.tell()
                now = asyncio.get_running_loop().time()
                quiet_since = now if collector.readers else quiet_since
                if now - quiet_since > _linger:
                    return
        finally:
            reader.cancel()
            with suppress(asyncio.CancelledError):
                await reader

    async def _pump(self, name: str, since: float | None, queue: asyncio.Queue[tuple[bool, bytes] | None]) -> None:
        try:
            async with aclosing(self._dock.log(name, since, follow=True)) as source:
                async for item in source:
                    await queue.put(item)
        except LeaseError as error:
            self._log.debug("a log ended", container=name, reason=str(error))
        await queue.put(None)

    async def _keep_lines(self, lease: str, role: str, collector: Collector, lines: list[Line]) -> None:
        if not lines:
            return
        collector.add(lines)
        await self._store(lease, role, lines)

    async def _store(self, lease: str, role: str, lines: list[Line]) -> None:
        key = self._key(lease, role)
        # As many as there is room for lines of this length.
        most = min(
            kept_in_redis, max(1, kept_in_redis_bytes * len(lines) // sum(len(line.text) + 64 for line in lines))
        )
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for line in lines:
                    fields: Any = {
                        "n": line.cursor.number, "t": line.nanoseconds, "e": int(line.error), "m": line.text,
                    }  # fmt: skip
                    pipe.xadd(key, fields, id=str(line.at), maxlen=most, approximate=most > 500)
                pipe.expire(key, self._keep + 86_400)
                answers = await pipe.execute(raise_on_error=False)
        except (RedisError, OSError) as error:
            self.redis_error = str(error)
            return
        # An entry that is there already has a position that is not later than the last: as it should be.
        wrong = [a for a in answers if isinstance(a, RedisError) and _there_already not in str(a)]
        self.redis_error = str(wrong[0]) if wrong else None

    async def _last(self, lease: str, role: str) -> Cursor:
        try:
            found: Any = await self._redis.xrevrange(self._key(lease, role), count=1)
        except (RedisError, OSError) as error:
            self.redis_error = str(error)
            return start
        return _line(*found[0]).cursor if found else start

    async def save(self, lease: Lease) -> None:
        """Keeps what the containers of an ending lease wrote last, for some time after they are gone."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_last_words):
                await asyncio.gather(*(self._save(lease, role) for role in lease.images))

    async def _save(self, lease: Lease, role: str) -> None:
        last = await self._last(lease.id, role)
        since = last.at.seconds - _overlap if last != start else None
        name, again, new = self._names.container(lease, role), Numbering(), last == start
        # Only what is kept is looked into: a whole log may be long, and everybody waits for this.
        end, size, count = deque[tuple[bool, bytes]](), 0, 0
        with suppress(LeaseError):
            async with aclosing(self._dock.log(name, since, follow=False)) as source:
                async for error, raw in source:
                    new = new or again.line(error, raw).at > last.at
                    if not new:
                        continue
                    end.append((error, raw))
                    size, count = size + len(raw), count + 1
                    while len(end) > kept_in_redis or (size > kept_in_redis_bytes and len(end) > 1):
                        size -= len(end.popleft()[1])
        if end:
            numbering = Numbering(last.at, last.number + count - len(end))
            await self._store(lease.id, role, [numbering.line(error, raw) for error, raw in end])
        with suppress(RedisError, OSError):
            await self._redis.expire(self._key(lease.id, role), self._keep)

    def _key(self, lease: str, role: str) -> str:
        return f"{self._prefix}:{lease}:{role}"


def _cursor(text: str | None) -> Cursor:
    try:
        return parse_cursor(text) if text else start
    except ValueError as error:
        raise Refused(422, "malformed", str(error)) from None


def _position(record: Record) -> Cursor:
    return record.cursor if isinstance(record, Line) else record.after


def _numbered(lines: list[Line], after: Cursor | None, before: Line | None) -> list[Line]:
    """Lines with the numbers that follow from a neighbour: the one before, else the one after, else none."""
    if after is not None and (after.number or after == start):
        first = after.number + 1
    elif before is not None and before.cursor.number > len(lines):
        first = before.cursor.number - len(lines)
    else:
        return [Line(Cursor(line.at, 0), line.nanoseconds, line.error, line.text) for line in lines]
    return [Line(Cursor(l.at, first + n), l.nanoseconds, l.error, l.text) for n, l in enumerate(lines)]  # noqa: E741


def _line(raw: bytes, fields: dict[bytes, bytes]) -> Line:
    milliseconds, _, rest = raw.decode().partition("-")
    at = Position(int(milliseconds), int(rest))
    cursor = Cursor(at, int(fields[b"n"]))
    return Line(cursor, int(fields[b"t"]), fields[b"e"] == b"1", fields[b"m"].decode(errors="replace"))
