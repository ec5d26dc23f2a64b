"""State in memory that cannot grow: what expires, and how often somebody may ask."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

T = TypeVar("T")
Clock = Callable[[], float]
callers_kept: Final = 20_000


class Full(Exception):
    """There are as many entries as may be; ``seconds`` until the first of them expires."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"full for {seconds:g} s")
        self.seconds = seconds


class Expiring(Generic[T]):
    """Entries that live ``seconds`` and are taken once; at most ``most`` of them.  Safe to share between threads."""

    def __init__(self, seconds: float, most: int, clock: Clock = time.monotonic) -> None:
        self.seconds, self._most, self._clock = seconds, most, clock
        self._entries: OrderedDict[str, tuple[float, T]] = OrderedDict()  # in the order in which they expire
        self._lock = threading.Lock()

    def put(self, name: str, value: T) -> None:
        """Keeps ``value`` under a new name; Full where there is no room."""
        with self._lock:
            self._prune()
            if len(self._entries) >= self._most:
                first, _ = next(iter(self._entries.values()))
                raise Full(first - self._clock())
            self._entries[name] = (self._clock() + self.seconds, value)

    def take(self, name: str) -> T | None:
        """The value, which is gone then; None where there is none or it expired."""
        with self._lock:
            self._prune()
            found = self._entries.pop(name, None)
        return found[1] if found else None

    def names(self) -> list[str]:
        """Those that have not expired, the oldest first."""
        with self._lock:
            self._prune()
            return list(self._entries)

    def __contains__(self, name: str) -> bool:
        with self._lock:
            self._prune()
            return name in self._entries

    def __len__(self) -> int:
        return len(self._entries)

    def _prune(self) -> None:
        now = self._clock()
        while self._entries:
            name, (expires, _) = next(iter(self._entries.items()))
            if expires > now:
                return
            del self._entries[name]


@dataclass
class _Bucket:
    tokens: float
    at: float


class Rate:
    """``most`` in ``seconds`` for each caller, all of them at once at first.  Safe to share between threads."""

    def __init__(self, most: int, clock: Clock = time.monotonic, seconds: float = 60.0) -> None:
        self._most, self._clock, self._seconds = most, clock, seconds
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, who: str) -> float:
        """0 when ``who`` may go on now (this counts), else the seconds until then (this does not)."""
        with self._lock:
            now = self._clock()
            bucket = self._buckets.pop(who, None) or _Bucket(self._most, now)
            bucket.tokens = min(self._most, bucket.tokens + (now - bucket.at) * self._most / self._seconds)
            bucket.at = now
            self._buckets[who] = bucket
            # Who was not seen for longest is forgotten: it has its whole allowance again by then, or soon.
            while len(self._buckets) > callers_kept:
                self._buckets.popitem(last=False)
            if bucket.tokens < 1:
                return (1 - bucket.tokens) * self._seconds / self._most
            bucket.tokens -= 1
            return 0.0
