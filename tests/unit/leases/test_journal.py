"""Deadlines on disk: the last line counts, a torn one does not."""

from __future__ import annotations

import asyncio
from pathlib import Path

from berth.leases.model import Deadline
from berth.leases.store import journal
from berth.leases.store.journal import Entry, Journal, read


def entry(name: str, at: float) -> Entry:
    return Entry(name, Deadline(at, "boot", at - 1000), at + 5000)


def test_the_last_word_counts(tmp_path: Path) -> None:
    async def write() -> None:
        made = Journal(tmp_path)
        await asyncio.gather(*(made.put(entry(f"l{n}", 1000 + n)) for n in range(50)))
        await made.put(entry("l1", 9000))
        await made.drop("l2")
        made.close()

    asyncio.run(write())
    found = read(tmp_path)
    assert len(found) == 49
    assert found["l1"] == entry("l1", 9000)
    assert "l2" not in found


def test_a_torn_line_is_as_if_it_had_never_been(tmp_path: Path) -> None:
    async def write() -> None:
        made = Journal(tmp_path)
        await made.put(entry("a", 1000))
        await made.put(entry("a", 2000))
        made.close()

    asyncio.run(write())
    path = tmp_path / journal.file_name
    text = path.read_text()
    path.write_text(text[:-20])
    assert read(tmp_path)["a"].deadline.at == 1000
    path.write_text(text + "null\n[]\n{}\n\x00\n")
    assert read(tmp_path)["a"].deadline.at == 2000


def test_it_stays_small_and_survives_a_restart(tmp_path: Path) -> None:
    async def write(rounds: int) -> None:
        made = Journal(tmp_path)
        for n in range(rounds):
            await asyncio.gather(*(made.put(entry(f"l{m}", n)) for m in range(500)))
        made.close()

    asyncio.run(write(12))
    assert len((tmp_path / journal.file_name).read_text().splitlines()) < 5600
    asyncio.run(write(0))
    assert len((tmp_path / journal.file_name).read_text().splitlines()) == 500
    assert len(read(tmp_path)) == 500


def test_no_journal_is_an_empty_one(tmp_path: Path) -> None:
    assert read(tmp_path) == {}
