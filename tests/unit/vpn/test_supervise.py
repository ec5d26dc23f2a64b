"""Process 1: an agent that is killed is started again, one that ends by itself ends all; with real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

script = """
import os, signal, subprocess, sys, time
from pathlib import Path
starts = Path(sys.argv[1])
starts.write_text(starts.read_text() + f"{os.getpid()}\\n")
subprocess.Popen(["sleep", "0.05"])  # left behind when the agent is killed
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
if sys.argv[2] != "run":
    sys.exit(int(sys.argv[2]))
while True:
    time.sleep(1)
"""


@pytest.fixture
def starts(tmp_path: Path) -> Path:
    file = tmp_path / "starts"
    file.write_text("")
    return file


def supervisor(starts: Path, argument: str) -> subprocess.Popen[str]:
    code = "import sys; from berth.vpn.supervise import supervise; sys.exit(supervise(sys.argv[1:]))"
    command = [sys.executable, "-c", code, sys.executable, "-c", script, str(starts), argument]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def pids(starts: Path, count: int) -> list[int]:
    deadline = time.monotonic() + 20
    while len(lines := starts.read_text().split()) < count:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return [int(line) for line in lines]


@pytest.mark.parametrize("status", [0, 1, 2])
def test_an_agent_that_ends_by_itself_ends_all_with_its_status(starts: Path, status: int) -> None:
    assert supervisor(starts, str(status)).wait(20) == status
    assert len(pids(starts, 1)) == 1


def test_a_killed_agent_is_started_again_and_a_told_one_is_not(starts: Path) -> None:
    one = supervisor(starts, "run")
    first = pids(starts, 1)[0]
    os.kill(first, signal.SIGKILL)
    second = pids(starts, 2)[1]
    assert second != first
    assert not Path(f"/proc/{first}").exists()
    # Only when it has its own handler may it be told to end, or the signal itself ends it.
    time.sleep(0.2)
    one.send_signal(signal.SIGTERM)
    assert one.wait(20) == 0
    assert len(pids(starts, 2)) == 2
    assert one.stderr is not None
    assert "was killed by signal 9, starting it anew" in one.stderr.read()
    one.stderr.close()


def test_an_agent_that_is_killed_again_and_again_is_given_up(starts: Path) -> None:
    one = supervisor(starts, "run")
    for count in range(1, 6):
        os.kill(pids(starts, count)[-1], signal.SIGKILL)
    assert one.wait(20) == 1
    assert len(pids(starts, 5)) == 5
