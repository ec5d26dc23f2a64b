from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest

from bootstrap.__main__ import stages
from bootstrap.errors import SetupError
from bootstrap.step import Context, Teller, run_lanes, run_steps


class Scripted:
    def __init__(self, name: str, there: str | None = None, error: SetupError | None = None) -> None:
        self.name = name
        self.there = there
        self.error = error
        self.applied = 0

    def satisfied(self, context: Context) -> str | None:
        return self.there

    def apply(self, context: Context) -> str:
        self.applied += 1
        context.note(f"working on {self.name}")
        if self.error:
            raise self.error
        return "made it"


@pytest.fixture
def stream() -> io.StringIO:
    return io.StringIO()


def test_a_step_that_is_satisfied_is_not_applied(context: Context, stream: io.StringIO) -> None:
    step = Scripted("one", there="was there")
    assert run_steps([step], context, Teller(stream))
    assert step.applied == 0
    assert "one" in stream.getvalue()
    assert "was there" in stream.getvalue()


def test_each_step_tells_its_name_its_work_and_its_result(context: Context, stream: io.StringIO) -> None:
    assert run_steps([Scripted("one")], context, Teller(stream))
    lines = stream.getvalue().splitlines()
    assert "working on one" in lines[0]
    assert "done: made it (0.0 s)" in lines[1]


def test_a_failure_tells_what_failed_and_what_to_do_and_ends(context: Context, stream: io.StringIO) -> None:
    after = Scripted("after")
    failing = Scripted("failing", error=SetupError("the disk is full", "free some space", "No space left"))
    assert not run_steps([failing, after], context, Teller(stream))
    assert after.applied == 0
    told = stream.getvalue()
    assert "failing          FAILED" in told
    assert "| No space left" in told
    assert "what failed: the disk is full" in told
    assert "what to do:  free some space" in told


def test_rows_run_beside_each_other(context: Context, stream: io.StringIO) -> None:
    meeting = threading.Barrier(2, timeout=5)

    class Meeting(Scripted):
        def apply(self, context: Context) -> str:
            meeting.wait()
            return super().apply(context)

    assert run_lanes([[Meeting("one")], [Meeting("two")]], context, Teller(stream))


def test_after_a_failure_no_row_begins_another_step(context: Context, stream: io.StringIO) -> None:
    failed = threading.Event()

    class Waiting(Scripted):
        def apply(self, context: Context) -> str:
            assert failed.wait(5)
            return super().apply(context)

    class Failing(Scripted):
        def satisfied(self, context: Context) -> str | None:
            return None

        def apply(self, context: Context) -> str:
            raise SetupError("broken", "mend it")

    class Telling(Teller):
        def failed(self, step: object, error: SetupError, seconds: float) -> None:
            failed.set()

    after = Scripted("after")
    assert not run_lanes([[Waiting("slow"), after], [Failing("failing")]], context, Telling(stream))
    assert after.applied == 0


def test_on_a_terminal_work_gives_way_to_its_result(context: Context) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    assert run_steps([Scripted("one")], context, Teller(stream))
    assert stream.getvalue().count("\n") == 1
    assert "\r\x1b[K" in stream.getvalue()


def test_the_order_of_the_steps() -> None:
    names = [[[step.name for step in lane] for lane in lanes] for lanes in stages()]
    assert names == [
        [["Docker", "TUN device"]],
        [["Python packages", "berth command", "Node packages", "engine"], ["base image"]],
        [["stack"]],
    ]


def test_what_belongs_to_the_machine_is_not_tracked() -> None:
    ignored = (Path(__file__).resolve().parents[3] / ".gitignore").read_text().split()
    assert {".berth/", ".venv/", ".pulumi/"} <= set(ignored)
