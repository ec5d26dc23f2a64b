"""Files on a node's volume: replaced as a whole, or added to line by line, so that no death leaves half of one."""

from __future__ import annotations

import json
import os
import zlib
from pathlib import Path
from typing import Any

from berth.vpn.errors import StoreDamaged


def write_atomic(path: Path, text: str, mode: int) -> None:
    """Replace ``path`` as a whole: a reader, or a node that dies here, sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    os.replace(temporary, path)
    sync_directory(path.parent)


def sync_directory(path: Path) -> None:
    """Make names in ``path`` last."""
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def line_of(record: Any) -> str:
    """One record as a line that proves itself: CRC-32 in hex, a space, JSON."""
    text = json.dumps(record, separators=(",", ":"))
    return f"{zlib.crc32(text.encode()):08x} {text}\n"


def read_lines(path: Path, whole: bool = False) -> tuple[list[Any], int]:
    """The records of ``path`` up to the first line that does not prove itself, and how many bytes they take.

    A line is written by one call, so only a machine that lost power leaves a broken one, and only as the last.
    ``whole``: StoreDamaged where lines after a broken one prove themselves, since what was there last is lost then.
    Nothing where there is no file.
    """
    records, size = [], 0
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return [], 0
    lines = content.split(b"\n")[:-1]
    for number, line in enumerate(lines):
        if not _proves(line):
            if whole and any(map(_proves, lines[number + 1 :])):
                raise StoreDamaged(f"line {number + 1} of {path} is broken, and others follow")
            break
        records.append(json.loads(line.partition(b" ")[2]))
        size += len(line) + 1
    return records, size


def _proves(line: bytes) -> bool:
    checksum, _, text = line.partition(b" ")
    return checksum == b"%08x" % zlib.crc32(text)


class LineFile:
    """A file of such lines, open for adding at its end; mode 0600."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._descriptor = self._open()
        self.size = os.fstat(self._descriptor).st_size

    def records(self, whole: bool = False) -> list[Any]:
        """What it holds; a broken end is cut off, since what is added after it could never be read.

        ``whole`` as for :func:`read_lines`.
        """
        records, size = read_lines(self.path, whole)
        if size != self.size:
            self.cut(size)
        return records

    def add(self, record: Any) -> int:
        """Add a record by one write; the size before, for :meth:`cut`.  OSError where the disk is full."""
        before, line = self.size, line_of(record).encode()
        written = os.write(self._descriptor, line)
        if written != len(line):
            os.ftruncate(self._descriptor, before)
            raise OSError(f"{self.path}: the disk is full")
        self.size += written
        return before

    def cut(self, size: int) -> None:
        """Forget what was added since the file had this size."""
        os.ftruncate(self._descriptor, size)
        self.size = size

    def sync(self) -> None:
        """Make what was added outlast a loss of power; nobody has to wait for it who adds more."""
        descriptor = os.dup(self._descriptor)
        try:
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def replace(self, lines: str) -> None:
        """Have these lines instead, as a whole."""
        write_atomic(self.path, lines, 0o600)
        os.close(self._descriptor)
        self._descriptor = self._open()
        self.size = os.fstat(self._descriptor).st_size

    def close(self) -> None:
        os.close(self._descriptor)

    def _open(self) -> int:
        return os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
