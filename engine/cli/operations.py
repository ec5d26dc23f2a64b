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
from engine.backend.errors import Cancelled, ChangesProposed, ConfigurationError, EngineError
from engine.cli.interrupt import interruptible
from engine.cli.session import Session, say
from engine.deploy import DeploymentFailed, Options, Program, run
from engine.deploy.options import PolicyPack, Result, Verb
from engine.display import show
from engine.events import Event, Finished, Started
from engine.masking import masked, masker
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
        self.result: Result

    def preview(self) -> None:
        """Show what would be done.  Raises :class:`DeploymentFailed`."""
        self._preview(self._load())

    def _load(self) -> Snapshot:
        snapshot = self.session.state.load()
        for resource in snapshot.resources if self.options.verb == "destroy" else []:
            hooks = resource.extra.get("resourceHooks", {})
            if names := [name for moment in ("BeforeDelete", "AfterDelete") for name in hooks.get(moment, [])]:
                raise EngineError(
                    f"{resource.urn} has delete hooks ({', '.join(names)}), which only its program can run: remove it "
                    "from the program and run `pulumi up`, or use Pulumi's CLI with `--run-program`"
                )
        return snapshot

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
            snapshot = self._load()
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
            dry = replace(self.options, verb="preview" if verb == "update" else verb, dry_run=True)
            self.result = run(self.program, self.config, snapshot, dry, _discard, emit, cancel)
        return events

    def _execute(self, snapshot: Snapshot) -> None:
        session, verb = self.session, self.options.verb
        self._title(_titles[verb])
        started, failed, changes = time.time(), True, {}
        try:
            with self._events(preview=False) as (emit, events, cancel):
                try:
                    self.result = run(
                        self.program, self.config, snapshot, self.options, session.state.save, emit, cancel
                    )
                finally:
                    changes = next((event.changes for event in events[::-1] if isinstance(event, Finished)), {})
            failed = False
            session.state.save(self.result.snapshot)
        finally:
            entry = {
                "kind": verb,
                "startTime": int(started),
                "message": self.message,
                "config": dict(sorted(session.config.merged().items())),
                "result": "failed" if failed else "succeeded",
                "resourceChanges": changes,
            }
            history.record(session.location, session.stack, entry)

    def _ask(self, events: list[Event]) -> None:
        verb = self.options.verb
        while True:
            answer = self.session.confirm(f"Do you want to perform this {verb}?", ("yes", "no", "details"))
            if answer == "yes":
                say()
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

        mask = masker(self.session.secret_texts)

        def emit(event: Event) -> None:
            event = masked(event, mask)
            if isinstance(event, Started):
                event = replace(event, preview=preview)  # also for a refresh whose result is not saved
            events.append(event)
            display(event)

        with interruptible(lambda: locks.remove(directory, lambda lock: lock.own)) as cancel:
            try:
                yield emit, events, cancel
            except DeploymentFailed as error:
                if cancel.is_set():
                    raise Cancelled("the operation was cancelled; what it had done by then is in the state") from error
                raise
            finally:
                display.close()


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
    debug: bool = False,
    preview_only: bool = False,
    expect_no_changes: bool = False,
    target: tuple[str, ...] = (),
    target_dependents: bool = False,
    replace: tuple[str, ...] = (),
    target_replace: tuple[str, ...] = (),
    plan: str | None = None,
    save_plan: str | None = None,
) -> None:
    """Run one verb.  Raises :class:`EngineError`; what a failed deployment had to say was shown already."""
    if parallel < 1:
        raise ConfigurationError(f"--parallel must be at least 1, not {parallel}")
    if plan or save_plan:
        from engine.cli import planfile  # it loads gRPC, which other verbs should not wait for
    packs = _packs(session.flags.cwd or "", policy_pack, policy_pack_config)
    options = Options(
        verb,
        refresh,
        parallel,
        debug=debug,
        stack_outputs=session.stack_outputs,
        policy_packs=packs,
        targets=target + target_replace,
        target_dependents=target_dependents,
        replace=replace + target_replace,
        planning=save_plan is not None,
        plan=planfile.read(session.cwd / plan, session.secrets) if plan else None,
    )
    operation = Operation(session, options, diff=diff, json=json, message=message)
    try:
        if verb == "preview" or preview_only:
            operation.preview()
        else:
            operation.execute(skip_preview=skip_preview)
    except DeploymentFailed as error:
        raise EngineError(str(error)) from error
    if expect_no_changes and operation.result.changes.keys() - {"same", "read", "discard"}:
        raise ChangesProposed(f"no changes were expected for {verb} but changes were proposed")
    if save_plan is not None and operation.result.plan is not None:
        planfile.write(session.cwd / save_plan, operation.result.plan, session.secrets)
        if not json:
            say(f"Update plan written to '{save_plan}'\nRun `pulumi up --plan='{save_plan}'` to be held to it")
