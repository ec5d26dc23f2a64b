from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest

from bootstrap.errors import SetupError
from bootstrap.shell import HEAD_LINES, TAIL_LINES, Outcome, Shell
from tests.unit.bootstrap.fakes import FakeShell


@pytest.fixture
def real(tmp_path: Path) -> Shell:
    return Shell(tmp_path, os.environ)


def test_a_command_that_hangs_ends_at_its_limit(real: Shell) -> None:
    start = time.monotonic()
    outcome = real.run(sys.executable, "-c", "import time; time.sleep(30)", limit=0.5)
    assert outcome.code == 124
    assert "no answer within 0.5 s" in outcome.output
    assert time.monotonic() - start < 5


def test_a_silent_command_is_given_up_and_a_busy_one_is_not(real: Shell) -> None:
    silent = real.run_once_heard(sys.executable, "-c", "import time; time.sleep(30)", first=0.5, limit=20)
    assert not silent.ok
    assert "no answer within 0.5 s" in silent.output
    busy = "import time; print('reached', flush=True); time.sleep(1.5); print('done')"
    heard = real.run_once_heard(sys.executable, "-c", busy, first=1.2, limit=20, cue="reached")
    assert heard.ok
    assert heard.output.split() == ["reached", "done"]


def test_other_output_is_no_sign_of_life(real: Shell) -> None:
    chatter = "import time; print('resolving', flush=True); time.sleep(30)"
    outcome = real.run_once_heard(sys.executable, "-c", chatter, first=1, limit=20, cue="reached")
    assert not outcome.ok


def test_a_heard_command_is_limited_too(real: Shell) -> None:
    busy = "import time; print('reached', flush=True); time.sleep(30)"
    outcome = real.run_once_heard(sys.executable, "-c", busy, first=5, limit=0.5, cue="reached")
    assert not outcome.ok
    assert "not done within 0.5 s" in outcome.output


def test_a_missing_program_is_an_outcome_and_no_crash(real: Shell) -> None:
    assert real.run("no-such-program-here").code == 127
    assert real.run_once_heard("no-such-program-here", first=1, limit=1).code == 127


def test_must_names_the_command_the_exit_code_and_what_to_do(real: Shell) -> None:
    with pytest.raises(SetupError) as raised:
        real.must("it broke", "mend it", sys.executable, "-c", "import sys; print('why'); sys.exit(3)")
    assert "it broke" in raised.value.what
    assert "exit 3" in raised.value.what
    assert raised.value.todo == "mend it"
    assert raised.value.output == "why"


def test_an_excerpt_keeps_the_first_and_the_last_lines() -> None:
    excerpt = Outcome(1, "\n".join(str(number) for number in range(100))).excerpt.splitlines()
    assert excerpt[:HEAD_LINES] == ["0", "1", "2", "3", "4"]
    assert excerpt[HEAD_LINES] == "..."
    assert len(excerpt) == HEAD_LINES + 1 + TAIL_LINES
    assert excerpt[-1] == "99"


def test_root_is_asked_for_only_where_it_is_missing(shell: FakeShell) -> None:
    assert shell.as_root("true") == ("true",)
    shell.root_user = False
    shell.programs["sudo"] = ["/usr/bin/sudo"]
    assert shell.as_root("true") == ("sudo", "-n", "true")


def test_without_a_way_to_root_the_message_gives_the_command(shell: FakeShell) -> None:
    shell.root_user = False
    with pytest.raises(SetupError) as raised:
        shell.as_root("apt-get", "install", "x")
    assert "apt-get install x" in raised.value.what
    assert "root" in raised.value.todo


def test_sudo_that_asks_for_a_password_is_no_way(shell: FakeShell) -> None:
    shell.root_user = False
    shell.programs["sudo"] = ["/usr/bin/sudo"]
    shell.when("sudo -n true", answer=Outcome(1, "a password is required"))
    with pytest.raises(SetupError):
        shell.as_root("true")


def test_every_lists_each_file_once(tmp_path: Path) -> None:
    for folder in ("one", "two", "three"):
        (tmp_path / folder).mkdir()
    for folder in ("one", "two"):
        (tmp_path / folder / "tool-of-a-test").write_text("#!/bin/sh\n")
        (tmp_path / folder / "tool-of-a-test").chmod(0o755)
    (tmp_path / "three" / "tool-of-a-test").symlink_to(tmp_path / "one" / "tool-of-a-test")
    path = os.pathsep.join(str(tmp_path / folder) for folder in ("one", "two", "three"))
    found = Shell(tmp_path, {"PATH": path}).every("tool-of-a-test")
    assert found == [str(tmp_path / "one" / "tool-of-a-test"), str(tmp_path / "two" / "tool-of-a-test")]
