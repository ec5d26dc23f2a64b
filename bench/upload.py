"""Files for a container that is made already, for benchmarks and tests."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping

from docker.models.containers import Container


def upload(container: Container, files: Mapping[str, str], folder: str = "/") -> None:
    """Text by its path below ``folder``, which is there; readable by all and writable by none.

    Errors: ``RuntimeError`` where Docker does not take it.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for path, text in files.items():
            content = text.encode()
            entry = tarfile.TarInfo(path.lstrip("/"))
            entry.size, entry.mode = len(content), 0o444
            tar.addfile(entry, io.BytesIO(content))
    if not container.put_archive(folder, buffer.getvalue()):
        raise RuntimeError(f"{container.name} does not take {', '.join(files)} at {folder}")
