"""One operation on a stack at a time: a file per holder under ``.pulumi/locks``, as Pulumi's CLI writes it."""

from __future__ import annotations

import contextlib
import getpass
import json
import os
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from engine.backend.errors import StackLocked
from engine.backend.files import write_atomic


@dataclass(frozen=True)
class Lock:
    """Who holds a stack; ``since`` is RFC 3339, empty where the file cannot be read."""

    path: Path
    pid: int
    user: str
    host: str
    since: str

    @property
    def own(self) -> bool:
        """Whether this process holds it."""
        return self.pid == os.getpid() and self.host == socket.gethostname()

    @property
    def dead(self) -> bool:
        """Whether the holder ran on this host and is gone (its pid is free, or belongs to a younger process).

        A file that was not written to its end within a minute never will be: nobody holds that lock.
        """
        if not self.since:
            return time.time() - self.path.stat().st_mtime > 60
        if self.host != socket.gethostname() or self.pid <= 0:
            return False
        try:
            stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8")
            boot = next(line for line in Path("/proc/stat").read_text("utf-8").splitlines() if line.startswith("btime"))
        except (FileNotFoundError, ProcessLookupError):
            return Path("/proc/self").exists()
        fields = stat.rpartition(")")[2].split()
        started = int(boot.split()[1]) + int(fields[19]) / os.sysconf("SC_CLK_TCK")
        try:
            taken = datetime.fromisoformat(self.since).timestamp()
        except ValueError:
            return False
        return fields[0] == "Z" or started > taken + 5  # the boot time is only good to a second or two

    def __str__(self) -> str:
        if not self.since:
            return f"a process that left {self.path} half written"
        return f"{self.user}@{self.host} (pid {self.pid}) since {self.since}"


def read(directory: Path) -> list[Lock]:
    """All locks of a stack."""
    locks = []
    for path in sorted(directory.glob("*.json")):
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            who = [str(data[name]) for name in ("username", "hostname", "timestamp")]
            locks.append(Lock(path, int(data["pid"]), *who))
        except FileNotFoundError:
            continue
        except (ValueError, KeyError, TypeError):
            locks.append(Lock(path, 0, "", "", ""))
    return locks


def remove(directory: Path, which: Callable[[Lock], bool] = lambda lock: True) -> list[Lock]:
    """Remove those locks of a stack; returns them."""
    locks = [lock for lock in read(directory) if which(lock)]
    for lock in locks:
        lock.path.unlink(missing_ok=True)
    return locks


@contextlib.contextmanager
def held(directory: Path, stack: str) -> Iterator[list[Lock]]:
    """Hold the stack's lock; yields the locks of dead processes that were taken over.

    Raises :class:`StackLocked`.  As in Pulumi, two that come at once may both be turned away.
    """
    taken_over = remove(directory, lambda lock: lock.dead)
    _refuse(directory, stack, None)
    own = directory / f"{uuid.uuid4()}.json"
    content = {
        "pid": os.getpid(),
        "username": _user(),
        "hostname": socket.gethostname(),
        "timestamp": datetime.now(UTC).astimezone().isoformat(),
    }
    write_atomic(own, json.dumps(content))
    try:
        _refuse(directory, stack, own)
        yield taken_over
    finally:
        own.unlink(missing_ok=True)


def _refuse(directory: Path, stack: str, own: Path | None) -> None:
    if others := [lock for lock in read(directory) if lock.path != own]:
        who = "\n".join(f"  {lock}" for lock in others)
        raise StackLocked(
            f"the stack '{stack}' is currently locked by {len(others)} lock(s):\n{who}\n"
            f"Wait for it to end, or, when that process is gone, run `pulumi cancel --stack {stack}`"
        )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())  # a container's user without a name
