"""Deadlines on disk, for the reaper and for when MongoDB is away.

One JSON object per line; the last line about a lease counts.  A deadline that moves later is here before anybody is
told of it, so whoever reads the journal never removes a lease early.  Lines are written together and reach the disk
(fsync) together.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from berth.leases.model import Deadline

file_name: Final = "deadlines.jsonl"
_compact_after: Final = 5_000  # lines


@dataclass(frozen=True, slots=True)
class Entry:
    """What is known of one lease: when it ends, and its hard maximum in unix seconds."""

    lease: str
    deadline: Deadline
    hard: float


def read(folder: Path) -> dict[str, Entry]:
    """Lease -> entry of those that are not gone.  A line that a crash cut short is as if it had never been written."""
    found: dict[str, Entry] = {}
    try:
        text = (folder / file_name).read_text()
    except FileNotFoundError:
        return found
    for line in text.splitlines():
        try:
            one = json.loads(line)
            if one.get("gone"):
                found.pop(one["lease"], None)
            else:
                deadline = Deadline(one["at"], one["boot"], one["mark"])
                found[one["lease"]] = Entry(one["lease"], deadline, one["hard"])
        except (ValueError, KeyError, TypeError, AttributeError):
            continue
    return found


class Journal:
    """The writer: one per folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / file_name
        self._known = read(folder)
        self._lines = 0
        self._waiting: list[tuple[str, asyncio.Future[None]]] = []
        self._writer = ThreadPoolExecutor(1, "journal")
        self._busy: asyncio.Task[None] | None = None
        self._compact()

    async def put(self, entry: Entry) -> None:
        """On disk when this returns; OSError where the disk refuses."""
        self._known[entry.lease] = entry
        await self._append(_line(entry))

    async def drop(self, lease: str) -> None:
        """The lease is gone."""
        if self._known.pop(lease, None) is not None:
            await self._append({"lease": lease, "gone": True})

    def leases(self) -> frozenset[str]:
        """Those whose deadlines are written."""
        return frozenset(self._known)

    def close(self) -> None:
        self._writer.shutdown(wait=True)

    async def _append(self, line: Mapping[str, Any]) -> None:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append((json.dumps(line) + "\n", done))
        if self._busy is None or self._busy.done():
            self._busy = asyncio.create_task(self._drain())
        await done

    async def _drain(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                await loop.run_in_executor(self._writer, self._write, "".join(line for line, _ in batch), len(batch))
            except OSError as error:
                for _, done in batch:
                    if not done.done():
                        done.set_exception(error)
            else:
                for _, done in batch:
                    if not done.done():
                        done.set_result(None)

    def _write(self, text: str, count: int) -> None:
        with self._path.open("a") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        self._lines += count
        if self._lines > _compact_after:
            self._compact()

    def _compact(self) -> None:
        """Only what counts, put in place at once; readers see the old file or the new one."""
        beside = self._path.with_suffix(".new")
        with beside.open("w") as file:
            for entry in list(self._known.values()):
                file.write(json.dumps(_line(entry)) + "\n")
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._path)
        self._lines = 0


def _line(entry: Entry) -> dict[str, Any]:
    deadline = entry.deadline
    return {
        "lease": entry.lease, "at": deadline.at, "boot": deadline.boot, "mark": deadline.mark, "hard": entry.hard,
    }  # fmt: skip
