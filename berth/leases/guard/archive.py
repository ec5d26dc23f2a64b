"""Files that go into a lease's container: a small plain archive, and no way out of where it is unpacked."""

from __future__ import annotations

import io
import tarfile
from typing import Final

from berth.leases.guard.errors import Refused

_entries: Final = 256
_largest: Final = 1024 * 1024  # bytes, unpacked


def check_archive(body: bytes) -> None:
    """Errors: :class:`Refused` for links, devices, other paths than downwards, and what is too much."""
    size = 0
    try:
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as archive:
            for count, entry in enumerate(archive):
                parts = entry.name.split("/")
                if count >= _entries or (size := size + entry.size) > _largest:
                    raise Refused("size", f"an archive may have {_entries} entries and {_largest} bytes", 413)
                if entry.name.startswith("/") or ".." in parts:
                    raise Refused("body", f"the archive leads out of its place: {entry.name[:80]}")
                if not (entry.isreg() or entry.isdir()) or entry.issparse():
                    raise Refused("body", f"the archive has more than files and folders: {entry.name[:80]}")
                if entry.mode & 0o6000:
                    raise Refused("body", f"the archive has a set-uid file: {entry.name[:80]}")
    except (tarfile.TarError, EOFError, ValueError) as error:
        raise Refused("body", f"the archive cannot be read: {type(error).__name__}", 400) from error
