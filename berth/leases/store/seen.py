"""When Docker was last seen at work, on disk: what stopped since then may have stopped with it.

Where the daemon is restarted, the manager goes down with it, and cannot have seen it go.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

file_name: Final = "docker-seen"


class Seen:
    """In ``folder``, beside the journal."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / file_name

    def read(self) -> float | None:
        """Unix seconds; None where it was never seen, or nobody can tell."""
        try:
            return float(self._path.read_text())
        except (OSError, ValueError):
            return None

    def write(self, at: float) -> None:
        """OSError where the disk refuses."""
        beside = self._path.with_suffix(".new")
        beside.write_text(f"{at:.3f}\n")
        os.replace(beside, self._path)
