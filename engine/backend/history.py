"""What was done to a stack and when: one entry and one copy of the state per operation, and a backup."""

from __future__ import annotations

import shutil
import time
from typing import Any

from engine.backend import codec
from engine.backend.files import write_atomic
from engine.backend.location import Location


def record(
    location: Location,
    stack: str,
    *,
    kind: str,
    message: str,
    started: float,
    config: dict[str, Any],
    failed: bool,
    changes: dict[str, int],
) -> None:
    """Add to the history (``backend.UpdateInfo``); times are Unix seconds, ``config`` is still encrypted."""
    entry = {
        "kind": kind,
        "startTime": int(started),
        "message": message,
        "environment": {"exec.kind": "cli"},
        "config": dict(sorted(config.items())),
        "version": 0,
        "result": "failed" if failed else "succeeded",
        "endTime": int(time.time()),
        "resourceChanges": changes,
    }
    stamp = time.time_ns()
    state = location.stack_file(stack).read_text(encoding="utf-8")
    prefix = location.history(stack) / f"{stack}-{stamp}"
    write_atomic(location.backups(stack) / f"{stack}.{stamp}.json", state)
    write_atomic(prefix.with_name(f"{prefix.name}.checkpoint.json"), state)
    write_atomic(prefix.with_name(f"{prefix.name}.history.json"), codec.dumps(entry))  # last, since it names the others


def forget(location: Location, stack: str) -> None:
    """Remove a stack's history and locks; its last state stays as ``.bak`` and in the backups."""
    for directory in (location.history(stack), location.locks(stack)):
        if directory.exists():
            shutil.rmtree(directory)
