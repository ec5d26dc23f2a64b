"""What happens to leases, for whoever watches: a stream in Redis, and everybody who is connected here.

Redis carries the history (``Last-Event-ID``); without it events still reach those who are connected.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass, field
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from berth.kit.logging import get_logger
from berth.kit.tasks import end

kept: Final = 10_000
_queue: Final = 1_000
_read: Final = 500
_quiet_seconds: Final = 15.0

Fields = dict[str, Any]


@dataclass(eq=False)
class Subscriber:
    """``user`` None hears of everybody; ``fell_behind`` once it was too slow and missed something."""

    user: str | None
    queue: asyncio.Queue[tuple[str, Fields]] = field(default_factory=lambda: asyncio.Queue(_queue))
    fell_behind: bool = False


class Events:
    """Of one stack.  ``publish`` never waits and never fails: leases do not depend on being watched."""

    def __init__(self, redis: Redis, stack: str) -> None:
        self._redis, self._key = redis, f"berth:{stack}:events"
        self._outgoing: asyncio.Queue[Fields] = asyncio.Queue(kept)
        self._subscribers: set[Subscriber] = set()
        self._log = get_logger("events")
        self._task: asyncio.Task[None] | None = None
        self._count = 0
        self.dropped = 0
        self.error: str | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._pump())

    async def stop(self) -> None:
        if self._task is not None:
            await end(self._task)

    def publish(self, event: Fields) -> None:
        """Says what happened; ``event`` has kind, lease, username, at, message, container."""
        try:
            self._outgoing.put_nowait(event)
        except asyncio.QueueFull:
            self.dropped += 1

    async def follow(self, user: str | None, after: str | None) -> AsyncGenerator[tuple[str, Fields], None]:
        """(id, event) of one user or of all: what came after id ``after`` as far as Redis has it, then live.

        The id is empty where Redis did not take the event.  It ends for who is too slow: who comes back with the last
        id misses nothing.
        """
        subscriber = Subscriber(user)
        self._subscribers.add(subscriber)
        try:
            last = after or ""
            if after:
                async for identifier, event in self._replay(user, after):
                    last = identifier
                    yield identifier, event
            while not (subscriber.fell_behind and subscriber.queue.empty()):
                identifier, event = await subscriber.queue.get()
                if identifier and last and _number(identifier) <= _number(last):
                    continue  # was in the replay already
                last = identifier or last
                yield identifier, event
        finally:
            self._subscribers.discard(subscriber)

    async def served(self, user: str | None, after: str | None) -> AsyncIterator[str]:
        """The same as server-sent events, with a comment every so often so that nobody takes quiet for an end."""
        source = self.follow(user, after)
        yield ": connected\n\n"
        coming = asyncio.ensure_future(anext(source))
        try:
            while True:
                done, _ = await asyncio.wait({coming}, timeout=_quiet_seconds)
                if not done:
                    yield ": still here\n\n"
                    continue
                try:
                    identifier, event = coming.result()
                except StopAsyncIteration:
                    return
                numbered = f"id: {identifier}\n" if identifier else ""
                yield f"{numbered}event: {event['kind']}\ndata: {json.dumps(event)}\n\n"
                coming = asyncio.ensure_future(anext(source))
        finally:
            await end(coming)
            await source.aclose()

    async def _replay(self, user: str | None, after: str) -> AsyncIterator[tuple[str, Fields]]:
        while True:
            try:
                found: Any = await self._redis.xrange(self._key, f"({after}", "+", _read)
            except RedisError as error:
                self.error = str(error)
                return
            for raw, fields in found or ():
                after = raw.decode()
                event = json.loads(fields[b"event"])
                if user is None or event["username"] == user:
                    yield after, event
            if not found or len(found) < _read:
                return

    async def _pump(self) -> None:
        while True:
            events = [await self._outgoing.get()]
            while not self._outgoing.empty() and len(events) < _read:
                events.append(self._outgoing.get_nowait())
            identifiers = await self._record(events)
            for identifier, event in zip(identifiers, events, strict=True):
                for subscriber in list(self._subscribers):
                    if subscriber.user is None or subscriber.user == event["username"]:
                        self._hand(subscriber, identifier, event)

    async def _record(self, events: list[Fields]) -> list[str]:
        try:
            async with self._redis.pipeline(transaction=False) as pipe:
                for event in events:
                    pipe.xadd(self._key, {"event": json.dumps(event)}, maxlen=kept, approximate=True)
                made = await pipe.execute()
        except (RedisError, OSError) as error:
            if self.error is None:
                self._log.warning("events are not kept: Redis does not answer", reason=str(error))
            self.error = str(error)
            return [""] * len(events)
        self.error = None
        return [raw.decode() for raw in made]

    def _hand(self, subscriber: Subscriber, identifier: str, event: Fields) -> None:
        if subscriber.fell_behind:
            return
        try:
            subscriber.queue.put_nowait((identifier, event))
        except asyncio.QueueFull:
            subscriber.fell_behind = True


def _number(identifier: str) -> tuple[int, int]:
    milliseconds, _, sequence = identifier.partition("-")
    return int(milliseconds), int(sequence or 0)
