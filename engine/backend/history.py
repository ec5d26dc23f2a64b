"""What was done to a stack and when: one entry and one copy of the state per operation, and a backup."""

from __future__ import annotations

import shutil
import time
from typing import Any

from engine.backend import codec
from engine.backend.files import write_atomic
from engine.backend.location import Location


def record(location: Location, stack: str, entry: dict[str, Any]) -> None:
    """Add an entry (``backend.UpdateInfo``; times are Unix seconds, its configuration is still encrypted)."""
    stamp = time.time_ns()
    entry = {"environment": {"exec.kind": "cli"}, "version": 0, "endTime": stamp // 1_000_000_000, **entry}
    state = location.stack_file(stack).read_text(encoding="utf-8")
    name = location.folder("history", stack) / f"{stack}-{stamp}"
    write_atomic(location.folder("backups", stack) / f"{stack}.{stamp}.json", state)
    write_atomic(name.with_name(f"{name.name}.checkpoint.json"), state)
    write_atomic(name.with_name(f"{name.name}.history.json"), codec.dumps(entry))  # last, since it names the others


def forget(location: Location, stack: str) -> None:
    """Remove a stack's history and locks; its last state stays as ``.bak`` and in the backups."""
    for directory in (location.folder("history", stack), location.locks(stack)):
        if directory.exists():
            shutil.rmtree(directory)
