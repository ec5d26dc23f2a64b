"""Carrying out steps: the provider's call, the state before and after it, the events."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from engine.deploy.callbacks import Callbacks, HookFailed
from engine.deploy.dynamic import OutcomeUnknown
from engine.deploy.state import State, now, secret_outputs, worth_saving
from engine.deploy.values import same
from engine.events import Diagnostic, Emit, Operation, StepDone, StepFailed, StepStarted
from engine.model import Resource
from engine.provider import Kind, PartialFailure

pending_types = {
    "create": "creating",
    "create-replacement": "creating",
    "update": "updating",
    "delete": "deleting",
    "delete-replaced": "deleting",
    "read": "reading",
    "read-replacement": "reading",
    "import": "importing",
    "import-replacement": "importing",
}
# Steps that are half of a replacement are not counted: the "replace" step stands for both halves.
uncounted = {"create-replacement", "delete-replaced", "read-replacement", "import-replacement", "discard-replaced"}


class Stopped(Exception):
    """The operation is ending (a failure was reported, or it was cancelled): start nothing more."""


@dataclass
class Step:
    """One thing to do.  ``apply`` asks the provider and fills in ``new``; it must not touch the state.

    ``supersedes``: ``old`` leaves the state when the step succeeded.  ``finish`` runs with the state locked.
    """

    op: Operation
    urn: str
    old: Resource | None
    new: Resource | None
    apply: Callable[[], None] = lambda: None
    replaces: list[str] = field(default_factory=list)
    detailed: dict[str, Kind] | None = None
    finish: Callable[[], None] = lambda: None
    supersedes: bool = True
    recorded: bool = True  # stands in the state (a "replace" is only an announcement)


def _differs(step: Step) -> bool:
    return bool(step.old and step.new and not same(step.old.outputs, step.new.outputs))


def is_default_provider(resource: Resource) -> bool:
    """Default providers are the engine's own: nobody wrote them, so nobody is shown them."""
    return resource.is_provider and resource.name.startswith("default")


class Executor:
    """Runs steps, each on the caller's thread; after a failure or a cancellation it starts none."""

    def __init__(self, state: State, callbacks: Callbacks, emit: Emit, preview: bool, cancel: threading.Event) -> None:
        self.state, self.callbacks, self.emit, self.preview, self.cancel = state, callbacks, emit, preview, cancel
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

    def count(self, op: Operation) -> None:
        with self.state.lock:
            self.changes[op] += 1

    def complain(self, message: str, urn: str) -> None:
        """A failure that an update stops at, while a preview goes on to show what else there is."""
        self.troubled = True
        if not self.preview:
            self.fail(message, urn)
            raise Stopped
        self.emit(Diagnostic("error", message, urn))

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
        shown = step.old or step.new
        silent = shown is not None and is_default_provider(shown)
        with self.work():
            started = time.monotonic()
            if not silent:
                self.emit(StepStarted(step.urn, step.op, step.old, step.new, step.replaces, step.detailed))
            message = self._carry_out(step)
            seconds = time.monotonic() - started
            if message is not None:
                self.emit(StepFailed(step.urn, step.op, message, seconds))
                self.failed.set()
                raise Stopped
            if not silent:
                self.emit(StepDone(step.urn, step.op, step.old, step.new, seconds, step.detailed))
                if step.op not in uncounted and (step.op != "read" or _differs(step)):
                    self.count(step.op)
            subject = step.old or step.new
            if step.op in ("create", "update") and subject is not None and not subject.custom:
                self.components[step.urn] = step
            else:
                self.after(step)

    def after(self, step: Step) -> None:
        """Run the hooks after a step: a failing one cannot undo it, but fails the operation."""
        try:
            self.callbacks.run("After", step.op, step.old, step.new)
        except HookFailed as error:
            self.fail(str(error), step.urn)

    def _carry_out(self, step: Step) -> str | None:
        """Why the step failed, or None."""
        subject = (step.old if step.op.startswith("delete") else step.new) or step.old
        assert subject is not None
        type = pending_types.get(step.op)
        called = type is not None and subject.custom and not subject.is_provider
        if called and type is not None:
            self.state.begin(subject, type)
        message = None
        try:
            self.callbacks.run("Before", step.op, step.old, step.new)
            step.apply()
        except Exception as error:  # noqa: BLE001
            # Whatever a provider raises ends the step, not the engine: others are running, and state must be kept.
            message = str(error) or error.__class__.__name__
            if not isinstance(error, PartialFailure) or step.new is None:
                if not isinstance(error, OutcomeUnknown):
                    self.state.end(subject)
                self.state.commit()
                return message
            step.new.id, step.new.outputs = error.id or step.new.id, error.outputs
            step.new.inputs = step.new.inputs if error.inputs is None else error.inputs
            step.new.init_errors = [message]
        with self.state.lock:
            if step.new is not None and step.op != "replace":
                self._stamp(step)
                step.new.outputs = secret_outputs(step.new)
                self.news[step.urn] = step.new
            self.state.end(subject, done=True)
            step.finish()
            if step.old is not None:
                self.state.changed(step.old)
            if step.recorded:
                self.state.replace(step.old if step.supersedes else None, step.new)
        if step.op == "same" and step.old is not None and step.new is not None:
            if worth_saving(step.old, step.new):
                self.state.commit()
            else:
                self.state.touch()
        elif step.recorded:
            self.state.commit()
        return message

    def _stamp(self, step: Step) -> None:
        assert step.new is not None
        if step.op in ("create", "create-replacement", "import", "import-replacement"):
            step.new.created = step.new.modified = now()
        elif step.op == "update" and step.new.custom:
            step.new.modified = now()
