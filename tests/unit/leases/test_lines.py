"""Positions of log lines: the same from wherever they are read, and none twice."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.leases.streams.lines import Cursor, Gap, Line, Numbering, Position, parse_cursor, shown, split

stamps = st.lists(st.integers(0, 30), min_size=1, max_size=60)


def raw(nanoseconds: int, text: str = "x") -> bytes:
    return f"2026-11-27T06:45:07.{nanoseconds:09d}Z {text}\n".encode()


def test_docker_writes_this() -> None:
    nanoseconds, text = split(b"2026-11-27T06:45:07.123456789Z hello  world \r\n")
    assert (nanoseconds % 1_000_000_000, text) == (123456789, "hello  world ")
    assert split(b"2026-11-27T06:45:07Z x")[0] % 1_000_000_000 == 0
    assert split(b"2026-11-27T06:45:07.1Z ")[0] % 1_000_000_000 == 100_000_000
    assert split(b"2026-11-27T07:45:07.5+01:00 x") == split(b"2026-11-27T06:45:07.5Z x")
    assert split(b"no stamp \xff") == (0, "no stamp \ufffd")


@given(stamps)
def test_positions_only_grow(times: list[int]) -> None:
    numbering = Numbering()
    made = [numbering.line(False, raw(t)) for t in times]
    assert all(a.at < b.at for a, b in itertools.pairwise(made))
    assert [line.cursor.number for line in made] == list(range(1, len(times) + 1))


@given(stamps, st.integers(0, 59))
def test_read_again_from_a_later_line_they_are_the_same(times: list[int], start: int) -> None:
    """Where stamps are in order: Docker is asked from two seconds before, so this holds at the place that counts."""
    times = sorted(times)
    start = min(start, len(times) - 1)
    while start and times[start] == times[start - 1]:
        start -= 1
    whole, again = Numbering(), Numbering()
    first = [whole.line(False, raw(t)).at for t in times]
    assert [again.line(False, raw(t)).at for t in times[start:]] == first[start:]


def test_cursors_are_read_back() -> None:
    cursor = Cursor(Position(1_800_000_000_123, 456_789_001), 42)
    assert parse_cursor(str(cursor)) == cursor


@pytest.mark.parametrize("text", ["", "1", "1-2", "a-b-c", "1-2-3-4", "-1-2-3", "1-2-3 ", f"1-{2**63}-1", "١-٢-٣"])
def test_what_is_no_cursor(text: str) -> None:
    with pytest.raises(ValueError, match="cursor"):
        parse_cursor(text)


def test_what_readers_see() -> None:
    line = Line(Cursor(Position(1, 2), 3), 1_000_000_001, True, "oh")
    assert shown(line, "main") == {
        "type": "line", "timestamp": "1970-01-01T00:00:01.000000001Z", "level": "error", "stream": "stderr",
        "role": "main", "message": "oh", "cursor": "1-2-3",
    }  # fmt: skip
    gap = shown(Gap(Cursor(Position(1, 2), 3), Cursor(Position(9, 9), 14), 10), "main")
    assert (gap["type"], gap["lost"], gap["cursor"]) == ("gap", 10, "1-2-3")
