"""Carrying out steps: the provider's call, the state before and after it, the events."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, Literal, get_args

from engine.deploy.callbacks import Callbacks, HookFailed
from engine.deploy.dynamic import OutcomeUnknown
from engine.deploy.options import Job
from engine.deploy.state import State, now, secret_outputs, worth_saving
from engine.deploy.values import same
from engine.events import Diagnostic, Half, Operation, StepDone, StepFailed, StepStarted
from engine.model import Resource
from engine.provider import DiffResult, PartialFailure

# What a call is on record as, while it is under way, by the first word of its operation.
_pending = {"create": "creating", "update": "updating", "delete": "deleting", "read": "reading", "import": "importing"}
_no_diff: Final = DiffResult(False)


class Stopped(Exception):
    """The operation is ending (a failure was reported, or it was cancelled): start nothing more."""


@dataclass(eq=False)
class Step:
    """One thing to do.  ``apply`` asks the provider and fills in ``new``; it must not touch the state.

    When it succeeded ``old`` leaves the state, or stays with the flag that ``marks`` names.
    """

    op: Operation
    old: Resource | None
    new: Resource | None
    apply: Callable[[], None] = lambda: None
    diff: DiffResult = _no_diff
    marks: Literal["", "delete", "pending_replacement"] = ""
    recorded: bool = True  # stands in the state (a "replace" is only an announcement)

    @property
    def subject(self) -> Resource:
        """What the provider is asked about."""
        subject = self.new or self.old
        assert subject is not None
        return subject

    @property
    def urn(self) -> str:
        return self.subject.urn

    @property
    def silent(self) -> bool:
        """Default providers are the engine's own: nobody wrote them, so nobody is shown them."""
        shown = self.old or self.subject
        return shown.is_provider and shown.name.startswith("default")


class Executor:
    """Runs steps, each on the caller's thread; after a failure or a cancellation it starts none."""

    def __init__(self, job: Job, state: State, callbacks: Callbacks, cancel: threading.Event) -> None:
        self.state, self.callbacks, self.cancel = state, callbacks, cancel
        self.emit, self.preview = job.emit, job.options.preview
        self.changes: Counter[str] = Counter()
        self.failed = threading.Event()
        self.troubled = False  # a preview found what an update would stop at
        self.news: dict[str, Resource] = {}
        self.components: dict[str, Step] = {}  # steps that end when the component registers its outputs
        self._idle = threading.Condition()
        self._running = 0

    def fail(self, message: str, urn: str = "") -> None:
        """Report a failure that is no step's, and let nothing more start."""
        self.emit(Diagnostic("error", message, urn))
        self.failed.set()

    def complain(self, message: str, urn: str = "") -> None:
        """A failure that an update stops at, while a preview goes on to show what else there is."""
        self.troubled = True
        self.emit(Diagnostic("error", message, urn))
        if not self.preview:
            self.failed.set()
            raise Stopped

    @property
    def stopping(self) -> bool:
        return self.failed.is_set() or self.cancel.is_set()

    @contextmanager
    def work(self) -> Iterator[None]:
        """Around everything that may change something: :meth:`wait` waits for it."""
        with self._idle:
            if self.stopping:
                raise Stopped
            self._running += 1
        try:
            yield
        finally:
            with self._idle:
                self._running -= 1
                self._idle.notify_all()

    def wait(self) -> None:
        """Until no step is running."""
        with self._idle:
            self._idle.wait_for(lambda: self._running == 0)

    def wait_until(self, reached: Callable[[], bool]) -> None:
        """Until another thread's step has brought something about.  Raises Stopped when it no longer can."""
        with self._idle:
            while not reached():
                if self.stopping:
                    raise Stopped
                self._idle.wait(0.1)  # a cancellation comes from outside and wakes nobody

    def run(self, step: Step) -> None:
        """Carry out a step.  Raises Stopped when it failed, after reporting it."""
        with self.work():
            self.report(step, lambda: self._carry_out(step))
            if step.op in ("create", "update") and not step.subject.custom:
                self.components[step.urn] = step
            else:
                self.after(step)

    def report(self, step: Step, work: Callable[[], str | None], *, counted: bool = True) -> None:
        """Events around ``work``, which may change the step, and says why it failed, or None.  Raises Stopped."""
        started, refreshed = time.monotonic(), step.op == "refresh"
        if not step.silent:
            self.emit(StepStarted(step.urn, step.op, step.old, step.new, step.diff.replaces, step.diff.detailed))
        message = work()
        seconds = time.monotonic() - started
        if message is not None:
            self.emit(StepFailed(step.urn, step.op, message, seconds))
            self.failed.set()
            raise Stopped
        if not step.silent:
            self.emit(StepDone(step.urn, step.op, step.old, step.new, seconds, step.diff.detailed, refreshed))
            seen = step.op == "read" and (step.old is None or same(step.old.outputs, step.subject.outputs))
            # The "replace" step stands for both halves of a replacement.
            if counted and not seen and step.op not in get_args(Half):
                with self.state.lock:
                    self.changes[step.op] += 1

    def after(self, step: Step) -> None:
        """Run the hooks after a step: a failing one cannot undo it, but fails the operation."""
        try:
            self.callbacks.run("After", step.op, step.old, step.new)
        except HookFailed as error:
            self.fail(str(error), step.urn)

    def _carry_out(self, step: Step) -> str | None:
        """Why the step failed, or None."""
        op, old, new, subject, message = step.op, step.old, step.new, step.subject, None
        pending = _pending.get(op.partition("-")[0])
        if pending is not None and subject.custom and not subject.is_provider:
            self.state.begin(subject, pending)
        try:
            self.callbacks.run("Before", op, old, new)
            step.apply()
        except Exception as error:  # noqa: BLE001
            # Whatever a provider raises ends the step, not the engine: others are running, and state must be kept.
            message = str(error) or error.__class__.__name__
            if not isinstance(error, PartialFailure) or new is None:
                if not isinstance(error, OutcomeUnknown):
                    self.state.end(subject)
                self.state.commit()
                return message
            new.id, new.outputs, new.init_errors = error.id or new.id, error.outputs, [message]
            new.inputs = new.inputs if error.inputs is None else error.inputs
        with self.state.lock:
            if new is not None and op != "replace":
                if op.startswith(("create", "import")):
                    new.created = new.modified = now()
                elif op == "update" and new.custom:
                    new.modified = now()
                new.outputs = secret_outputs(new)
                self.news[step.urn] = new
            self.state.end(subject, done=True)
            if old is not None and step.marks:
                setattr(old, step.marks, True)
            if old is not None:
                self.state.changed(old)
            if step.recorded:
                self.state.replace(None if step.marks else old, new)
        if op == "same" and old is not None and new is not None and not worth_saving(old, new):
            self.state.touch()
        elif step.recorded:
            self.state.commit()
        return message
