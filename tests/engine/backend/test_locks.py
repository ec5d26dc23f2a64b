"""Locks: who holds them, whether they live, and that they always go."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from engine.backend import locks
from engine.backend.errors import StackLocked


def put(directory: Path, *, pid: int, host: str | None = None, since: datetime | None = None) -> Path:
    path = directory / "other.json"
    directory.mkdir(parents=True, exist_ok=True)
    content = {
        "pid": pid,
        "username": "ann",
        "hostname": host or socket.gethostname(),
        "timestamp": (since or datetime.now(UTC)).isoformat(),
    }
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def gone() -> int:
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


def test_the_lock_is_held_and_released(tmp_path: Path) -> None:
    with locks.held(tmp_path, "dev"):
        (lock,) = locks.read(tmp_path)
        assert (lock.pid, lock.host) == (os.getpid(), socket.gethostname())
        assert not lock.dead
    assert locks.read(tmp_path) == []
    with pytest.raises(ZeroDivisionError), locks.held(tmp_path, "dev"):
        raise ZeroDivisionError
    assert locks.read(tmp_path) == []


def test_a_held_stack_names_the_holder_and_the_way_out(tmp_path: Path) -> None:
    other = put(tmp_path, pid=os.getpid())
    with (
        pytest.raises(StackLocked, match=rf"ann@.* \(pid {os.getpid()}\) since .*[\s\S]*pulumi cancel --stack dev"),
        locks.held(tmp_path, "dev"),
    ):
        pytest.fail("must not get in")
    assert list(tmp_path.iterdir()) == [other]


def test_a_dead_holder_is_taken_over(tmp_path: Path) -> None:
    put(tmp_path, pid=gone())
    with locks.held(tmp_path, "dev") as taken:
        assert [lock.user for lock in taken] == ["ann"]
        assert len(locks.read(tmp_path)) == 1


def test_a_pid_that_was_used_again_is_dead(tmp_path: Path) -> None:
    put(tmp_path, pid=os.getpid(), since=datetime.now(UTC) - timedelta(days=400))
    (lock,) = locks.read(tmp_path)
    assert lock.dead


def test_of_other_hosts_nothing_is_known(tmp_path: Path) -> None:
    put(tmp_path, pid=gone(), host="elsewhere")
    with pytest.raises(StackLocked, match="ann@elsewhere"), locks.held(tmp_path, "dev"):
        pytest.fail("must not get in")


@pytest.mark.parametrize("content", ["", "[]", '{"pid": 1}'])
def test_an_unreadable_lock_holds(tmp_path: Path, content: str) -> None:
    (tmp_path / "x.json").write_text(content, encoding="utf-8")
    with pytest.raises(StackLocked, match="half written"), locks.held(tmp_path, "dev"):
        pytest.fail("must not get in")
    assert len(locks.remove(tmp_path)) == 1
    assert locks.read(tmp_path) == []
