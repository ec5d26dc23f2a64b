"""Timers: what has to happen to which lease when, to the hundredth of a second, however many there are."""

from __future__ import annotations

import asyncio
import heapq
import itertools
from collections.abc import Callable
from typing import Final

from berth.leases.clock import Clock
from berth.leases.model import Deadline

_longest_sleep: Final = 1.0  # seconds; a machine that slept is noticed within that

_spare: Final = 64

Action = Callable[[], None]


class Deadlines:
    """One timer per (lease, what for); setting it again replaces it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._heap: list[tuple[float, int, tuple[str, str]]] = []
        self._current: dict[tuple[str, str], tuple[int, Deadline, Action]] = {}
        self._numbers = itertools.count()
        self._changed = asyncio.Event()

    def set(self, lease: str, what: str, deadline: Deadline, action: Action) -> None:
        """``action`` is called once the deadline is past, from the loop; it must not block."""
        number = next(self._numbers)
        self._current[(lease, what)] = (number, deadline, action)
        heapq.heappush(self._heap, (self._clock.mark() + self._clock.left(deadline), number, (lease, what)))
        if len(self._heap) > 2 * len(self._current) + _spare:
            # Those that were replaced lie deep down for as long as their time is away.
            self._heap = [one for one in self._heap if self._current.get(one[2], (None,))[0] == one[1]]
            heapq.heapify(self._heap)
        self._changed.set()

    def cancel(self, lease: str, what: str | None = None) -> None:
        """Forgets one timer of a lease, or all of them."""
        if what is not None:
            self._current.pop((lease, what), None)
            return
        for key in [key for key in self._current if key[0] == lease]:
            del self._current[key]

    def has(self, lease: str, what: str) -> bool:
        """Whether a timer is set."""
        return (lease, what) in self._current

    def __len__(self) -> int:
        return len(self._current)

    async def run(self) -> None:
        """Calls what is due, for ever."""
        while True:
            self._changed.clear()
            wait = self.fire()
            try:
                async with asyncio.timeout(min(_longest_sleep, wait)):
                    await self._changed.wait()
            except TimeoutError:
                continue

    def fire(self) -> float:
        """Calls everything that is due now; seconds until the next."""
        while self._heap:
            _, number, key = self._heap[0]
            current = self._current.get(key)
            if current is None or current[0] != number:
                heapq.heappop(self._heap)  # replaced or cancelled
                continue
            left = self._clock.left(current[1])
            if left > 0:
                return left
            heapq.heappop(self._heap)
            del self._current[key]
            current[2]()
        return _longest_sleep
