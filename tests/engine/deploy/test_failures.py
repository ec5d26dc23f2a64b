"""What goes wrong is said, contained and can be gone on from."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

from engine.events import StepFailed, StepStarted
from engine.model import PendingOperation, Resource


def test_failed_step_keeps_dependents_out_and_lets_others_finish(bench):
    bench.program(
        """
        slow = Thing("slow", slow=0.6)
        bad = Thing("bad", slow=0.2, fail="no room left")
        after = Thing("after", kind=bad.made)
        later = Thing("later", kind=slow.made)
        """
    )
    outcome = bench.run()
    assert outcome.failed == "update failed"
    failed = next(e for e in outcome.events if isinstance(e, StepFailed))
    assert (failed.op, failed.message) == ("create", "ValueError: no room left")
    calls = bench.calls()
    assert (sorted(calls[:2]), calls[2:]) == (["create bad", "create slow"], ["created slow"])
    assert {r.name for r in outcome.snapshot.resources} == {"proj-dev", "default", "slow"}
    assert bench.saves[-1].pending_operations == []
    assert outcome.messages("error") == "", "the program is not made to complain about an engine that ended"
    bench.up('slow = Thing("slow", slow=0.6)\nbad = Thing("bad")')


def test_failed_update_keeps_the_old_state(bench):
    bench.up('a = Thing("a", size=1)')
    bench.program('a = Thing("a", size=2, fail="not now")')
    outcome = bench.run()
    assert outcome.failed
    assert outcome.named("a").inputs["size"] == 1
    assert outcome.changes == {"same": 1}


def test_invalid_input(bench):
    bench.program('a = Thing("a", size=-1)')
    outcome = bench.run("preview")
    assert outcome.failed
    expected = "pulumi-python:dynamic/test:Thing resource 'a': property size has a problem: must not be negative"
    assert outcome.messages("error") == expected


def test_failing_program_deletes_nothing(bench):
    bench.up('a = Thing("a")\nb = Thing("b")\npulumi.export("kept", 1)')
    bench.program('a = Thing("a")\npulumi.export("new", 2)\nraise RuntimeError("what a pity")')
    outcome = bench.run()
    assert outcome.failed
    message = outcome.messages("error")
    assert "RuntimeError: what a pity" in message
    assert '__main__.py", line 6' in message
    assert "runpy" not in message
    assert "site-packages" not in message
    assert bench.things() == ["a", "b"]
    assert outcome.outputs == {"kept": 1, "new": 2}


def test_error_in_apply_is_shown(bench):
    bench.program('a = Thing("a")\ndef check(made):\n    raise ValueError(f"{made} is wrong")\na.made.apply(check)')
    outcome = bench.run()
    assert outcome.failed
    assert "ValueError: made-a is wrong" in outcome.messages("error")


def test_run_error_is_shown_without_a_traceback(bench):
    bench.program('raise pulumi.RunError("set the region first")')
    outcome = bench.run()
    assert outcome.failed
    assert outcome.messages("error") == "set the region first"


def test_program_that_exits_by_itself(bench):
    bench.program("import sys\nsys.exit(7)")
    outcome = bench.run()
    assert outcome.failed
    assert outcome.messages("error") == "the program exited with code 7"


def test_duplicate_name(bench):
    bench.program('Thing("a")\nThing("a")')
    outcome = bench.run()
    assert outcome.failed
    assert "Duplicate resource URN" in outcome.messages("error")


def test_cancel_waits_for_running_steps_and_starts_no_more(bench):
    bench.program('a = Thing("a", slow=0.5)\nb = Thing("b", kind=a.made)')
    bench.on_event = lambda e: bench.cancel.set() if isinstance(e, StepStarted) and e.urn.endswith("::a") else None
    started = time.monotonic()
    outcome = bench.run()
    assert outcome.failed == "canceled"
    assert time.monotonic() - started < 5
    assert bench.calls() == ["create a", "created a"]
    assert outcome.named("a").id
    assert "canceled" in outcome.messages("error")
    bench.cancel = threading.Event()
    bench.on_event = lambda event: None
    assert bench.up().changes == {"same": 2, "create": 1}


def test_pending_operations_are_named(bench):
    bench.up('a = Thing("a")')
    lost = Resource("urn:pulumi:dev::proj::pulumi-python:dynamic/test:Thing::lost", "t", True)
    bench.state.pending_operations = [PendingOperation(lost, "creating"), PendingOperation(lost, "updating")]
    outcome = bench.up()
    assert f"{lost.urn}, interrupted while creating" in outcome.messages("warning")
    assert [p.type for p in outcome.snapshot.pending_operations] == ["creating"]
    refreshed = bench.run("refresh")
    assert f"{lost.urn}, interrupted while creating" in refreshed.messages("warning")
    assert refreshed.snapshot.pending_operations == []


def test_state_that_cannot_be_saved_ends_the_operation(bench):
    def full(snapshot):
        raise OSError("No space left on device")

    bench.saves = type("Disk", (list,), {"append": staticmethod(full)})()
    bench.program('a = Thing("a")')
    outcome = bench.run()
    assert outcome.failed
    assert "No space left on device" in outcome.messages("error")
    assert bench.calls() == [], "nothing is made whose beginning could not be put on record"


def test_no_process_is_left(bench):
    bench.program('import os\npulumi.export("pid", os.getpid())\na = Thing("a", fail="x")')
    bench.run()
    left = [t.name for t in threading.enumerate() if t.name.startswith(("delete", "refresh"))]
    assert left == []


def test_a_provider_that_dies_leaves_its_call_on_record(bench):
    provider = bench.root / "things.py"
    provider.write_text(
        provider.read_text().replace('note("created"', 'os.kill(os.getpid(), 9)\n        note("created"')
    )
    bench.program('a = Thing("a")')
    outcome = bench.run()
    assert outcome.failed
    assert "has ended" in "".join(getattr(e, "message", "") for e in outcome.events)
    assert [(p.type, p.resource.name) for p in bench.saves[-1].pending_operations] == [("creating", "a")]


def test_killed_engine_takes_its_processes_along(bench, tmp_path):
    bench.program('import os\nopen("pid", "w").write(str(os.getpid()))\na = Thing("a", slow=60)')
    script = tmp_path / "engine.py"
    script.write_text(
        f"""
import sys, threading
from pathlib import Path
sys.path.insert(0, {str(Path(__file__).parents[3])!r})
from engine.deploy import Options, Program, run
from engine.model import Snapshot
root = Path({str(bench.root)!r})
program = Program("proj", "dev", "organization", root, root, Path(sys.executable))
run(program, {{}}, Snapshot(), Options("update"), lambda s: None, lambda e: None, threading.Event())
"""
    )
    with subprocess.Popen([sys.executable, str(script)]) as engine:
        deadline = time.monotonic() + 20
        while "create" not in "".join(bench.calls()) and time.monotonic() < deadline:
            time.sleep(0.05)
        engine.kill()
    pid = int((bench.root / "pid").read_text())
    while _running(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _running(pid)


def _running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
