"""Real programs with real dynamic providers, run by the engine in a directory of their own."""

from __future__ import annotations

import copy
import json
import sys
import textwrap
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from engine.deploy import DeploymentFailed, Options, Program, run
from engine.events import Diagnostic, Event, StepDone, StepStarted
from engine.model import Resource, Secret, Snapshot

# A provider whose things are files in ``things/``; what it was asked is in ``calls.log``.
THINGS = """
import json, os, pathlib, time, uuid
import pulumi
from pulumi.dynamic import *

here = pathlib.Path(__file__).parent
(here / "things").mkdir(exist_ok=True)

def note(*words):
    with open(here / "calls.log", "a") as file:
        file.write(json.dumps([*words, time.time()]) + "\\n")

class ThingProvider(ResourceProvider):
    def configure(self, req):
        self.region = req.config.get("region")
        self.token = req.config.get("other:token")

    def check(self, olds, news):
        if news.get("size") == -1:
            return CheckResult(news, [CheckFailure("size", "must not be negative")])
        return CheckResult(news, [])

    def diff(self, id, olds, news):
        replaces = ["kind"] if olds.get("kind") != news.get("kind") else []
        if replaces:
            return DiffResult(True, replaces, [], bool(news.get("first_delete")))
        return DiffResult()

    def create(self, props):
        note("create", props["label"])
        if props.get("slow"):
            time.sleep(props["slow"])
        if props.get("fail"):
            raise ValueError(props["fail"])
        id = props["label"] + "-" + uuid.uuid4().hex[:6]
        outs = {**props, "made": "made-" + props["label"], "region": self.region, "token": self.token}
        (here / "things" / id).write_text(json.dumps({k: v for k, v in props.items() if k != "__provider"}))
        note("created", props["label"])
        return CreateResult(id, outs)

    def update(self, id, olds, news):
        note("update", news["label"])
        if news.get("fail"):
            raise ValueError(news["fail"])
        (here / "things" / id).write_text(json.dumps({k: v for k, v in news.items() if k != "__provider"}))
        return UpdateResult({**olds, **news})

    def read(self, id, props):
        path = here / "things" / id
        if not path.exists():
            return ReadResult("", {})
        real = json.loads(path.read_text())
        inputs = {k: v for k, v in props.items() if k in real or k == "__provider"}
        return ReadResult(id, {**props, **real}, {**inputs, **real})

    def delete(self, id, props):
        note("delete", props["label"])
        if props.get("stuck"):
            raise RuntimeError("it is stuck")
        (here / "things" / id).unlink(missing_ok=True)
        note("deleted", props["label"])

class Thing(Resource, module="test", name="Thing"):
    made: pulumi.Output[str]
    label: pulumi.Output[str]
    region: pulumi.Output[str]
    token: pulumi.Output[str]

    def __init__(self, name, opts=None, **props):
        props = {"label": name, **props}
        super().__init__(ThingProvider(), name, {**props, "made": None, "region": None, "token": None}, opts)
"""


@dataclass
class Outcome:
    snapshot: Snapshot
    changes: dict[str, int]
    events: list[Event]
    failed: str | None

    def named(self, name: str) -> Resource:
        return next(r for r in self.snapshot.resources if r.name == name and not r.delete)

    def messages(self, *severities: str) -> str:
        return "\n".join(e.message for e in self.events if isinstance(e, Diagnostic) and e.severity in severities)

    def ops(self) -> list[str]:
        """``op name`` of each finished step, in order."""
        return [f"{e.op} {e.urn.rsplit('::', 1)[-1]}" for e in self.events if isinstance(e, StepDone)]

    def started(self, op: str, name: str) -> StepStarted:
        return next(
            e for e in self.events if isinstance(e, StepStarted) and (e.op, e.urn.rsplit("::", 1)[-1]) == (op, name)
        )

    @property
    def outputs(self) -> dict[str, object]:
        stack = self.snapshot.stack()
        assert stack is not None
        return stack.outputs


@dataclass
class Bench:
    """One stack: its program and its state from run to run."""

    root: Path
    state: Snapshot = field(default_factory=Snapshot)
    saves: list[Snapshot] = field(default_factory=list)
    cancel: threading.Event = field(default_factory=threading.Event)
    on_event: Callable[[Event], None] = lambda event: None

    def program(self, text: str) -> None:
        heading = "import pulumi\nfrom pulumi import ResourceOptions as Opts\nfrom things import Thing\n"
        (self.root / "__main__.py").write_text(heading + textwrap.dedent(text))

    def run(self, verb: str = "update", config: dict[str, str | Secret] | None = None, **options: object) -> Outcome:
        program = Program("proj", "dev", "organization", self.root, self.root, Path(sys.executable))
        events: list[Event] = []

        def emit(event: Event) -> None:
            events.append(event)
            self.on_event(event)

        chosen = Options(verb, **options)  # type: ignore[arg-type]
        before = copy.deepcopy(self.state)
        failed = None
        try:
            result = run(program, config or {}, self.state, chosen, self.saves.append, emit, self.cancel)
        except DeploymentFailed as error:
            result, failed = error.result, str(error)
        assert self.state == before, "the snapshot that was given must not be changed"
        if not chosen.preview:
            self.state = result.snapshot
        return Outcome(result.snapshot, result.changes, events, failed)

    def up(self, text: str | None = None, **options: object) -> Outcome:
        """An update that must succeed."""
        if text is not None:
            self.program(text)
        outcome = self.run(**options)  # type: ignore[arg-type]
        assert outcome.failed is None, outcome.messages("error", "info")
        return outcome

    def calls(self) -> list[str]:
        """What the provider was asked since last time, as ``verb label``."""
        log = self.root / "calls.log"
        lines = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        log.unlink(missing_ok=True)
        return [f"{verb} {label}" for verb, label, _ in lines]

    def things(self) -> list[str]:
        return sorted(path.name.rsplit("-", 1)[0] for path in (self.root / "things").iterdir())


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    (tmp_path / "things.py").write_text(THINGS)
    return Bench(tmp_path)
