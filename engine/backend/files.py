"""Writing files so that a crash at any moment leaves the old or the new content, never half of it."""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path

from engine.backend.errors import EngineError


def write_atomic(path: Path, text: str, *, backup: bool = False, mode: int = 0o600) -> None:
    """Write through a temporary file, fsync and rename; with ``backup`` the old file stays as ``<name>.bak``.

    Raises :class:`EngineError` when the disk does not take it; the old file is then as it was.
    """
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), mode)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        if backup and path.exists():
            link = f"{temporary}.bak"
            os.link(path, link)  # no copy: the rename below gives the name to a new file
            os.replace(link, f"{path}.bak")
            with contextlib.suppress(FileNotFoundError):
                os.unlink(link)  # renaming does nothing where both are the same file, as after a kill in between
        os.replace(temporary, path)
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)
    except OSError as error:
        if temporary:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        raise EngineError(
            f"cannot write {path}: {error.strerror or error}; what was there before is unchanged"
        ) from error
