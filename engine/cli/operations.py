"""``up``, ``preview``, ``refresh``, ``destroy``: lock, preview, question, operation, history."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import zip_longest
from typing import Literal

from engine.backend import history, locks
from engine.backend.errors import Cancelled, ConfigurationError, EngineError
from engine.cli.interrupt import interruptible
from engine.cli.session import Session, say
from engine.deploy import DeploymentFailed, Options, Program, run
from engine.deploy.options import PolicyPack, Verb
from engine.display import show
from engine.events import Event, Finished, Started, StepDone, StepStarted
from engine.model import Snapshot

_titles = {"update": "Updating", "refresh": "Refreshing", "destroy": "Destroying"}


class Operation:
    """One verb on one stack."""

    def __init__(self, session: Session, options: Options, *, diff: bool, json: bool, message: str) -> None:
        self.session, self.options = session, options
        self.diff, self.json, self.message = diff, json, message
        session.location.ensure()
        project = session.project
        self.program = Program(
            project.name,
            session.stack,
            "organization",
            project.root,
            project.root / project.main,
            project.python,
            {key: str(value) for key, value in project.options.items()},
        )
        self.config = session.program_config()

    def preview(self) -> None:
        """Show what an update would do.  Raises :class:`DeploymentFailed`."""
        self._preview(self.session.state.load())

    def execute(self, *, skip_preview: bool) -> None:
        """Preview, ask, do.  Raises :class:`DeploymentFailed`, :class:`Cancelled`, :class:`StackLocked`."""
        session = self.session
        if not (session.flags.yes or skip_preview) and not session.interactive:
            raise ConfigurationError(
                "--yes or --skip-preview must be passed in to proceed when running in non-interactive mode"
            )
        session.secrets.unlock()  # a wrong passphrase must show before anything is done
        with locks.held(session.location.locks(session.stack), session.stack) as taken_over:
            for lock in taken_over:
                say(f"warning: removed the lock of {lock}: that process is gone", error=True)
            session.location.sweep(session.stack)
            snapshot = session.state.load()
            if not skip_preview:
                events = self._preview(snapshot)
                if not session.flags.yes:
                    self._ask(events)
            self._execute(snapshot)

    def _preview(self, snapshot: Snapshot) -> list[Event]:
        verb = self.options.verb
        name = "update" if verb == "preview" else verb
        self._title(f"Previewing {name}")
        with self._events(preview=True) as (emit, events, cancel):
            if verb == "destroy" and not self.options.refresh:
                _preview_destroy(self.program, snapshot, emit)
            else:
                # a refresh only reads, so its preview is the refresh itself with nothing saved
                dry = replace(self.options, verb="refresh" if verb in ("refresh", "destroy") else "preview")
                run(self.program, self.config, snapshot, dry, _discard, emit, cancel)
        return events

    def _execute(self, snapshot: Snapshot) -> None:
        session, verb = self.session, self.options.verb
        self._title(_titles[verb])
        started, failed, changes = time.time(), True, {}
        try:
            with self._events(preview=False) as (emit, events, cancel):
                try:
                    result = run(self.program, self.config, snapshot, self.options, session.state.save, emit, cancel)
                finally:
                    changes = next((event.changes for event in events[::-1] if isinstance(event, Finished)), {})
            failed = False
            session.state.save(result.snapshot)
        finally:
            history.record(
                session.location,
                session.stack,
                kind=verb,
                message=self.message,
                started=started,
                config=session.config.merged(),
                failed=failed,
                changes=changes,
            )

    def _ask(self, events: list[Event]) -> None:
        verb = self.options.verb
        while True:
            answer = self.session.confirm(f"Do you want to perform this {verb}?", ("yes", "no", "details"))
            if answer == "yes":
                return
            if answer == "no":
                raise Cancelled(f"confirmation declined, not proceeding with the {verb}")
            from engine.display.diff import Differ

            differ = Differ(self.session.color)
            for event in events:
                for line in differ(event):
                    say(line)

    def _title(self, text: str) -> None:
        if not self.json:
            say(f"{text} ({self.session.stack}):")

    @contextmanager
    def _events(self, *, preview: bool) -> Iterator[tuple[Callable[[Event], None], list[Event], threading.Event]]:
        """A display, the events it was given, and what Ctrl-C sets; closes the display whatever happens."""
        live = sys.stdout.isatty() and not self.session.flags.non_interactive and self.session.flags.color != "raw"
        streaming = self.options.verb != "preview" or os.environ.get("PULUMI_ENABLE_STREAMING_JSON_PREVIEW") == "true"
        json: Literal["", "digest", "stream"] = ("stream" if streaming else "digest") if self.json else ""
        display = show(sys.stdout, live=live, color=self.session.color, diff=self.diff, json=json)
        events: list[Event] = []
        directory = self.session.location.locks(self.session.stack)

        def emit(event: Event) -> None:
            if isinstance(event, Started):
                event = replace(event, preview=preview)  # also for a refresh whose result is not saved
            events.append(event)
            display(event)

        with interruptible(lambda: locks.release_own(directory)) as cancel:
            try:
                yield emit, events, cancel
            except DeploymentFailed as error:
                if cancel.is_set():
                    raise Cancelled("the operation was cancelled; what it had done by then is in the state") from error
                raise
            finally:
                display.close()


def _preview_destroy(program: Program, snapshot: Snapshot, emit: Callable[[Event], None]) -> None:
    """All that stands in the state, in the order in which it would go."""
    began = time.monotonic()
    emit(Started("destroy", program.stack, program.project, True, {}))
    gone = [resource for resource in reversed(snapshot.resources) if not resource.is_provider]
    for resource in gone:
        emit(StepStarted(resource.urn, "delete", resource, None))
        emit(StepDone(resource.urn, "delete", resource, None, 0.0))
    stack = snapshot.stack()
    outputs = dict(stack.outputs) if stack else {}
    emit(Finished({"delete": len(gone)} if gone else {}, time.monotonic() - began, False, outputs, {}))


def _discard(snapshot: Snapshot) -> None:
    """A preview saves nothing."""


def _packs(cwd: str, directories: tuple[str, ...], files: tuple[str, ...]) -> tuple[PolicyPack, ...]:
    if files and len(files) != len(directories):
        raise EngineError('there must be one "--policy-pack-config" for each "--policy-pack", or none at all')
    return tuple(
        PolicyPack(os.path.join(cwd, directory), os.path.join(cwd, file) if file else "")
        for directory, file in zip_longest(directories, files, fillvalue="")
    )


def operate(
    session: Session,
    verb: Verb,
    *,
    refresh: bool,
    parallel: int,
    diff: bool,
    message: str,
    json: bool,
    skip_preview: bool = False,
    policy_pack: tuple[str, ...] = (),
    policy_pack_config: tuple[str, ...] = (),
) -> None:
    """Run one verb.  Raises :class:`EngineError`; what a failed deployment had to say was shown already."""
    if parallel < 1:
        raise ConfigurationError(f"--parallel must be at least 1, not {parallel}")
    packs = _packs(session.flags.cwd or "", policy_pack, policy_pack_config)
    options = Options(verb, refresh, parallel, policy_packs=packs)
    operation = Operation(session, options, diff=diff, json=json, message=message)
    try:
        if verb == "preview":
            operation.preview()
        else:
            operation.execute(skip_preview=skip_preview)
    except DeploymentFailed as error:
        raise EngineError(str(error)) from error
