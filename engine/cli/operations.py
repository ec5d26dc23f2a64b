"""``up``, ``preview``, ``refresh``, ``destroy``: lock, preview, question, operation, history."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from itertools import zip_longest
from typing import Any, Literal

import click

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


class Operation:
    """One verb on one stack; ``given`` are the command's flags by name."""

    def __init__(self, session: Session, verb: Verb, given: dict[str, Any]) -> None:
        self.session, self.verb, self.given = session, verb, given
        self.options = _options(session, verb, given)
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

    def execute(self) -> None:
        """Preview, ask, do.  Raises :class:`DeploymentFailed`, :class:`Cancelled`, :class:`StackLocked`."""
        session, skip_preview = self.session, self.given["skip_preview"]
        if not (session.flags.yes or skip_preview or session.interactive):
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
                question = f"Do you want to perform this {self.verb}?"
                session.approve(question, f"not proceeding with the {self.verb}", lambda: self._details(events))
            self._execute(snapshot)

    def _load(self) -> Snapshot:
        snapshot = self.session.state.load()
        for resource in snapshot.resources if self.verb == "destroy" else []:
            hooks = resource.extra.get("resourceHooks", {})
            if names := [name for moment in ("BeforeDelete", "AfterDelete") for name in hooks.get(moment, [])]:
                raise EngineError(
                    f"{resource.urn} has delete hooks ({', '.join(names)}), which only its program can run: remove it "
                    "from the program and run `pulumi up`, or use Pulumi's CLI with `--run-program`"
                )
        return snapshot

    def _preview(self, snapshot: Snapshot) -> list[Event]:
        dry = replace(self.options, verb="preview" if self.verb == "update" else self.verb, dry_run=True)
        events: list[Event] = []
        self._run(f"Previewing {'update' if self.verb == 'preview' else self.verb}", snapshot, dry, events)
        return events

    def _execute(self, snapshot: Snapshot) -> None:
        session, started, events = self.session, time.time(), list[Event]()
        result = "failed"
        try:
            self._run(f"{self.verb.removesuffix('e').title()}ing", snapshot, self.options, events)
            result = "succeeded"
            session.state.save(self.result.snapshot)
        finally:
            entry = {
                "kind": self.verb,
                "startTime": int(started),
                "message": self.given["message"],
                "config": dict(sorted(session.config.merged().items())),
                "result": result,
                "resourceChanges": next((event.changes for event in events[::-1] if isinstance(event, Finished)), {}),
            }
            history.record(session.location, session.stack, entry)

    def _details(self, events: list[Event]) -> None:
        from engine.display.diff import Differ

        differ = Differ()
        for event in events:
            for line in differ(event):
                click.echo(line, color=self.session.color)

    def _run(self, title: str, snapshot: Snapshot, options: Options, events: list[Event]) -> None:
        """Runs behind a display, which is closed whatever happens; keeps the result, and adds to ``events``."""
        session, json, dry = self.session, self.given["json"], options.preview
        if not json:
            say(f"{title} ({session.stack}):")
        live = sys.stdout.isatty() and not session.flags.non_interactive and session.flags.color != "raw"
        streaming = self.verb != "preview" or os.environ.get("PULUMI_ENABLE_STREAMING_JSON_PREVIEW") == "true"
        shape: Literal["", "digest", "stream"] = ("stream" if streaming else "digest") if json else ""
        display = show(sys.stdout, live=live, color=session.color, diff=self.given["diff"], json=shape)
        mask = masker(session.secret_texts)

        def emit(event: Event) -> None:
            event = masked(event, mask)
            if isinstance(event, Started):
                event = replace(event, preview=dry)  # also for a refresh whose result is not saved
            events.append(event)
            display(event)

        def release() -> None:
            locks.remove(session.location.locks(session.stack), lambda lock: lock.own)

        save: Callable[[Snapshot], None] = (lambda snapshot: None) if dry else session.state.save
        with interruptible(release) as cancel:
            try:
                self.result = run(self.program, self.config, snapshot, options, save, emit, cancel)
            except DeploymentFailed as error:
                if cancel.is_set():
                    raise Cancelled("the operation was cancelled; what it had done by then is in the state") from error
                raise
            finally:
                display.close()


def _options(session: Session, verb: Verb, given: dict[str, Any]) -> Options:
    """Raises :class:`EngineError` for flags that do not go together."""
    if given["parallel"] < 1:
        raise ConfigurationError(f"--parallel must be at least 1, not {given['parallel']}")
    directories, files = given.get("policy_pack", ()), given.get("policy_pack_config", ())
    if files and len(files) != len(directories):
        raise EngineError('there must be one "--policy-pack-config" for each "--policy-pack", or none at all')
    cwd, plan = session.flags.cwd or "", None
    if path := given.get("plan"):
        from engine.cli import planfile  # it loads gRPC, which other verbs should not wait for

        plan = planfile.read(session.cwd / path, session.secrets)
    return Options(
        verb,
        given.get("refresh", False),
        given["parallel"],
        debug=given["debug"],
        stack_outputs=session.stack_outputs,
        policy_packs=tuple(
            PolicyPack(os.path.join(cwd, directory), os.path.join(cwd, file) if file else "")
            for directory, file in zip_longest(directories, files, fillvalue="")
        ),
        targets=given["target"] + given.get("target_replace", ()),
        target_dependents=given["target_dependents"],
        replace=given.get("replace", ()) + given.get("target_replace", ()),
        planning=given.get("save_plan") is not None,
        plan=plan,
    )


def operate(session: Session, verb: Verb, given: dict[str, Any]) -> None:
    """Run one verb.  Raises :class:`EngineError`; what a failed deployment had to say was shown already."""
    operation = Operation(session, verb, given)
    try:
        if verb == "preview" or given.get("preview_only"):
            operation.preview()
        else:
            operation.execute()
    except DeploymentFailed as error:
        raise EngineError(str(error)) from error
    result, path = operation.result, given.get("save_plan")
    if given.get("expect_no_changes") and result.changes.keys() - {"same", "read", "discard"}:
        raise ChangesProposed(f"no changes were expected for {verb} but changes were proposed")
    if path is not None and result.plan is not None:
        from engine.cli import planfile

        planfile.write(session.cwd / path, result.plan, session.secrets)
        session.keep_salt()  # without it Pulumi's CLI could not read the plan
        if not given["json"]:
            say(f"Update plan written to '{path}'\nRun `pulumi up --plan='{path}'` to be held to it")
