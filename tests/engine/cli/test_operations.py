"""``up`` and its kin around a deployment that is played: questions, locks, state, history."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

import pytest

from engine.backend import locks
from engine.cli import operations
from engine.cli.session import Session
from engine.deploy import DeploymentFailed, Options, Program, Result
from engine.events import Emit, Finished, Started, StepDone, StepStarted
from engine.model import Resource, Secret, Snapshot
from tests.engine.cli.conftest import Pulumi

pytestmark = pytest.mark.usefixtures("fast_keys")
stack_urn = "urn:pulumi:dev::small::pulumi:pulumi:Stack::small-dev"


class Played:
    """In place of :func:`engine.deploy.run`: creates one stack resource and remembers what it was told."""

    def __init__(self) -> None:
        self.calls: list[tuple[Options, dict[str, str | Secret]]] = []
        self.locked: list[int] = []
        self.fail = False
        self.during: Callable[[threading.Event], None] = lambda cancel: None

    def __call__(
        self, program: Program, config: dict[str, str | Secret], snapshot: Snapshot, options: Options,
        save: Callable[[Snapshot], None], emit: Emit, cancel: threading.Event,
    ) -> Result:  # fmt: skip
        self.calls.append((options, config))
        self.locked.append(len(locks.read(program.root / ".pulumi/locks/organization/small/dev")))
        emit(Started(options.verb, program.stack, program.project, options.verb == "preview", {}))
        stack = Resource(stack_urn, "pulumi:pulumi:Stack", False, outputs={"token": Secret("hush")})
        emit(StepStarted(stack.urn, "create", None, stack))
        emit(StepDone(stack.urn, "create", None, stack, 0.1))
        self.during(cancel)
        done = Snapshot([stack])
        if options.verb != "preview":
            save(done)
        emit(Finished({"create": 1}, 0.2, self.fail, {}, dict(stack.outputs)))
        result = Result(done, {"create": 1})
        if self.fail or cancel.is_set():
            raise DeploymentFailed("update failed", result)
        return result


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Played:
    played = Played()
    monkeypatch.setattr(operations, "run", played)
    return played


@pytest.fixture
def answers(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Someone sits at the terminal and gives these answers."""
    given: list[str] = []
    monkeypatch.setattr(Session, "interactive", property(lambda self: True))
    monkeypatch.setattr("builtins.input", lambda question: print(question, end="") or given.pop(0))
    return given


def history(pulumi: Pulumi) -> list[dict[str, Any]]:
    files = sorted((pulumi.root / ".pulumi/history/small/dev").glob("*.history.json"))
    return [json.loads(path.read_text(encoding="utf-8")) for path in files]


def test_up_previews_then_does(pulumi: Pulumi, played: Played) -> None:
    pulumi.ok("config", "set", "a", "1")
    pulumi.ok("config", "set", "--secret", "b", "hush")
    text = pulumi.ok("up", "--yes", "-p", "4", "--refresh", "-m", "why")
    assert text.index("Previewing update (dev):") < text.index("+ 1 to create") < text.index("Updating (dev):")
    assert "+ token: [secret]" in text
    assert "hush" not in text + pulumi.state.read_text(encoding="utf-8")
    told = [(options.verb, options.refresh, options.parallel, options.preview) for options, _ in played.calls]
    assert told == [("preview", True, 4, True), ("update", True, 4, False)]
    assert played.calls[0][1] == {"small:a": "1", "small:b": Secret("hush")}
    assert played.locked == [1, 1]
    assert locks.read(pulumi.root / ".pulumi/locks/organization/small/dev") == []
    (entry,) = history(pulumi)
    assert (entry["kind"], entry["result"], entry["message"]) == ("update", "succeeded", "why")
    assert entry["resourceChanges"] == {"create": 1}
    assert set(entry["config"]["small:b"]) == {"secure"}
    assert len(list((pulumi.root / ".pulumi/backups/small/dev").iterdir())) == 1


def test_a_preview_leaves_no_trace(pulumi: Pulumi, played: Played) -> None:
    before = pulumi.fingerprint()
    assert "+ 1 to create" in pulumi.ok("preview", "--diff", "--refresh=true")
    document = json.loads(pulumi.ok("preview", "--json"))
    assert document["changeSummary"] == {"create": 1}
    assert pulumi.fingerprint() == before
    assert played.locked == [0, 0]
    assert [options.refresh for options, _ in played.calls] == [True, False]


def test_no_means_no(pulumi: Pulumi, played: Played, answers: list[str]) -> None:
    answers[:] = ["details", "maybe", "no"]
    done = pulumi.refused("up")
    assert done.code == 8
    assert "confirmation declined, not proceeding with the update" in done.err
    assert "+ pulumi:pulumi:Stack: (create)\n" in done.out
    assert [options.verb for options, _ in played.calls] == ["preview"]


def test_yes_means_yes(pulumi: Pulumi, played: Played, answers: list[str]) -> None:
    answers[:] = ["y"]
    assert "Do you want to perform this update? [yes/no/details]" in pulumi.ok("up")
    assert [options.verb for options, _ in played.calls] == ["preview", "update"]


def test_a_failure_keeps_what_was_done_and_gives_the_lock_back(pulumi: Pulumi, played: Played) -> None:
    played.fail = True
    done = pulumi("up", "--yes", "--skip-preview")
    assert done.code == 1
    assert "error: update failed" in done.err
    assert stack_urn in pulumi.state.read_text(encoding="utf-8")
    assert locks.read(pulumi.root / ".pulumi/locks/organization/small/dev") == []
    assert history(pulumi)[0]["result"] == "failed"
    assert history(pulumi)[0]["resourceChanges"] == {"create": 1}


def test_a_bug_gives_the_lock_back(pulumi: Pulumi, played: Played) -> None:
    def bug(cancel: threading.Event) -> None:
        raise ZeroDivisionError

    played.during = bug
    with pytest.raises(ZeroDivisionError):
        pulumi("up", "--yes", "--skip-preview")
    assert locks.read(pulumi.root / ".pulumi/locks/organization/small/dev") == []


def test_ctrl_c_once_is_passed_on(pulumi: Pulumi, played: Played) -> None:
    import os
    import signal

    def press(cancel: threading.Event) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        assert cancel.wait(5)

    played.during = press
    handler = signal.getsignal(signal.SIGINT)
    done = pulumi("up", "--yes", "--skip-preview")
    assert done.code == 8
    assert "press Ctrl-C again" in done.err
    assert "cancelled" in done.err
    assert signal.getsignal(signal.SIGINT) is handler


def test_the_preview_of_a_refresh_saves_nothing(pulumi: Pulumi, played: Played, answers: list[str]) -> None:
    answers[:] = ["no"]
    assert "Previewing refresh (dev):" in pulumi.refused("refresh").out
    answers[:] = ["yes"]
    pulumi.ok("refresh")
    assert [options.verb for options, _ in played.calls] == ["refresh"] * 3
    assert stack_urn in pulumi.state.read_text(encoding="utf-8")


def test_the_preview_of_a_destruction_is_one_that_is_not_done(
    pulumi: Pulumi, played: Played, answers: list[str]
) -> None:
    answers[:] = ["no"]
    pulumi.refused("destroy")
    pulumi.ok("destroy", "--preview-only")
    pulumi.ok("destroy", "-y", "-f")
    assert [(options.verb, options.dry_run) for options, _ in played.calls] == [
        ("destroy", True),
        ("destroy", True),
        ("destroy", False),
    ]


def test_what_is_asked_for_reaches_the_engine(pulumi: Pulumi, played: Played) -> None:
    pulumi.ok(
        "up", "-y", "-f", "-t", "a", "--target=b*", "--target-dependents", "--replace", "c", "--target-replace", "d"
    )
    (options, _), *_ = played.calls
    assert (options.targets, options.target_dependents, options.replace) == (("a", "b*", "d"), True, ("c", "d"))


def test_changes_that_nobody_expected(pulumi: Pulumi, played: Played) -> None:
    done = pulumi("up", "-y", "-f", "--expect-no-changes")
    assert (done.code, done.err) == (7, "error: no changes were expected for update but changes were proposed\n")


@pytest.mark.parametrize("verb", ["up", "preview", "refresh", "destroy"])
def test_bad_state_and_bad_passphrases_stop_every_verb(
    pulumi: Pulumi, played: Played, monkeypatch: pytest.MonkeyPatch, verb: str
) -> None:
    pulumi.ok("up", "-y", "-f")
    played.calls.clear()
    flags = [] if verb == "preview" else ["--yes"]
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
    assert "incorrect passphrase" in pulumi.refused(verb, *flags).err
    monkeypatch.delenv("PULUMI_CONFIG_PASSPHRASE")
    assert "passphrase must be set with PULUMI_CONFIG_PASSPHRASE" in pulumi.refused(verb, *flags).err
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "pass")
    text = pulumi.state.read_text(encoding="utf-8")
    pulumi.state.write_text(text[: len(text) // 2], encoding="utf-8")
    damaged = pulumi.refused(verb, *flags).err
    assert f"the state file {pulumi.state} is damaged: line 1, column " in damaged
    assert f"cp {pulumi.state}.bak {pulumi.state}" in damaged
    assert played.calls == []
