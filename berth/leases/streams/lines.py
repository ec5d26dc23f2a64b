"""Lines of logs and where they are: pure.

A position is made from Docker's own time stamp (nanoseconds), as (milliseconds, rest), which is what an entry's id in a
Redis stream looks like.  So the same line has the same position whether it comes from Redis or from Docker, and
reading it twice cannot double it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Literal, NamedTuple

_step: Final = 1000  # lines that may share a nanosecond
_stamp: Final = re.compile(rb"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,9}))?(Z|[+-]\d\d:\d\d) ?")
_cursor: Final = re.compile(r"([0-9]{1,20})-([0-9]{1,20})-([0-9]{1,20})")
_latest: Final = 253_402_300_799_999  # ms: as far as dates go
_epoch: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Position(NamedTuple):
    """Of a line among those of its container; ordered as Redis orders."""

    milliseconds: int
    rest: int

    def __str__(self) -> str:
        return f"{self.milliseconds}-{self.rest}"

    @property
    def seconds(self) -> float:
        """Unix seconds, for Docker's ``since``."""
        return self.milliseconds / 1000


class Cursor(NamedTuple):
    """A position, and the number of its line from 1 (0 where that is not known)."""

    at: Position
    number: int

    def __str__(self) -> str:
        return f"{self.at}-{self.number}"


start: Final = Cursor(Position(0, 0), 0)


def parse_cursor(text: str) -> Cursor:
    """ValueError where it is none of ours."""
    found = _cursor.fullmatch(text)
    if not found:
        raise ValueError("a cursor is what a line had as its cursor")
    first, second, third = map(int, found.groups())
    if first > _latest or max(second, third) >= 1 << 63:
        raise ValueError("a cursor is what a line had as its cursor")
    return Cursor(Position(first, second), third)


@dataclass(frozen=True, slots=True)
class Line:
    """One line of one container; ``nanoseconds`` since 1970, as Docker stamped it."""

    cursor: Cursor
    nanoseconds: int
    error: bool
    text: str

    @property
    def at(self) -> Position:
        return self.cursor.at


@dataclass(frozen=True, slots=True)
class Gap:
    """Lines that are gone: between what was seen and what follows; ``lost`` None where nobody counted."""

    after: Cursor
    before: Cursor
    lost: int | None


@dataclass(frozen=True, slots=True)
class End:
    """Nothing follows: the lease is over."""

    after: Cursor
    why: str


Record = Line | Gap | End


class Numbering:
    """Positions in their order: a stamp that is not later than the one before gets the next place after it."""

    def __init__(self, last: Position = start.at, number: int = 0) -> None:
        self.last, self.number = last, number

    def line(self, error: bool, raw: bytes) -> Line:
        """The line that Docker wrote as ``<time stamp> <text>``."""
        nanoseconds, text = split(raw)
        at = Position(nanoseconds // 1_000_000, nanoseconds % 1_000_000 * _step)
        if at <= self.last:
            at = Position(self.last.milliseconds, self.last.rest + 1)
        self.last, self.number = at, self.number + 1
        return Line(Cursor(at, self.number), nanoseconds, error, text)


def split(raw: bytes) -> tuple[int, str]:
    """(nanoseconds since 1970, text) of what Docker wrote; 0 where it has no stamp."""
    found = _stamp.match(raw)
    if not found:
        return 0, raw.decode(errors="replace").rstrip("\r\n")
    zone = "+00:00" if found[3] == b"Z" else found[3].decode()
    since = datetime.fromisoformat(found[1].decode() + zone) - _epoch
    fraction = int((found[2] or b"0").ljust(9, b"0"))
    seconds = since.days * 86_400 + since.seconds
    return seconds * 1_000_000_000 + fraction, raw[found.end() :].decode(errors="replace").rstrip("\r\n")


def shown(record: Record, role: str) -> dict[str, Any]:
    """As the API shows it (``LogLine``)."""
    if isinstance(record, Line):
        level: Literal["info", "error"] = "error" if record.error else "info"
        return {
            "type": "line",
            "timestamp": iso(record.nanoseconds),
            "level": level,
            "stream": "stderr" if record.error else "stdout",
            "role": role,
            "message": record.text,
            "cursor": str(record.cursor),
        }
    ours = {"level": "info", "stream": "berth", "role": role}
    if isinstance(record, Gap):
        lost = "an unknown number of" if record.lost is None else str(record.lost)
        at = record.before.at.milliseconds * 1_000_000
        return {
            **ours, "type": "gap", "timestamp": iso(at), "message": f"{lost} lines are gone", "lost": record.lost,
            "cursor": str(record.after),
        }  # fmt: skip
    at = record.after.at.milliseconds * 1_000_000
    return {**ours, "type": "end", "timestamp": iso(at), "message": record.why, "cursor": str(record.after)}


def iso(nanoseconds: int) -> str:
    """UTC, with all nine digits."""
    seconds, fraction = divmod(nanoseconds, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:09d}Z"


def after(lines: list[Line], cursor: Cursor) -> Iterator[Line]:
    """Those past a cursor."""
    return (line for line in lines if line.at > cursor.at)
