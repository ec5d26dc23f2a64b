"""What is known of each resource so far; every display that needs rows keeps one."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from engine.display import words
from engine.display.values import changed_keys
from engine.events import (
    Diagnostic,
    Event,
    Finished,
    OutputsRegistered,
    Remediation,
    Started,
    StepDone,
    StepFailed,
    StepStarted,
    Violation,
)
from engine.model import Resource, type_stack


@dataclass
class Row:
    """One resource; ``state`` is "" (only seen), "running", "done" or "failed"."""

    urn: str
    type: str
    name: str
    parent: str = ""
    op: str = "same"
    state: str = ""
    began: float = 0.0
    seconds: float = 0.0
    changed: str = ""  # "[diff: ~entries]"
    progress: str = ""  # the last ephemeral message
    errors: int = 0
    warnings: int = 0

    @property
    def whole(self) -> str:
        """The operation as one word: the steps of a replacement are a replacement once they are done."""
        return "replace" if self.state == "done" and self.op in ("create-replacement", "delete-replaced") else self.op

    def status(self, preview: bool, op: str = "") -> str:
        """Pulumi's words: ``create`` in a preview, ``creating`` or ``created (1.2s)`` in an update."""
        op = op or self.op
        if self.state == "failed":
            return f"**{words.running(op)} failed**"
        if op == "same" or not self.state:
            return ""
        if preview and op != "refresh":
            return op
        if self.state == "running":
            return words.running(op)
        return f"{words.done(op)} ({words.duration(self.seconds)})"


@dataclass
class Board:
    """Rows in the order in which they came.  ``preview`` overrides what Started says, if not None."""

    preview: bool = False
    rows: dict[str, Row] = field(default_factory=dict)
    diagnostics: list[Diagnostic] = field(default_factory=list)
    violations: list[Violation] = field(default_factory=list)
    remedies: list[Remediation] = field(default_factory=list)
    finished: Finished | None = None
    root: str = ""
    stack_name: str = ""

    def take(self, event: Event) -> Row | None:
        """Note the event; returns the row that it changed."""
        if isinstance(event, Started):
            self.preview = event.preview
            self.stack_name = f"{event.project}-{event.stack}"
        elif isinstance(event, StepStarted):
            row = self._row(event.urn, event.new or event.old)
            row.op, row.state, row.began = event.op, "running", time.monotonic()
            row.changed = changed_keys(event.op, event.old, event.new, event.detailed) or row.changed
            return row
        elif isinstance(event, StepDone):
            row = self._row(event.urn, event.new or event.old)
            refreshed = row.op == "refresh"
            if not (event.op == "same" and row.op not in ("same", "refresh")):
                row.op = event.op
            row.state, row.seconds, row.progress = "done", event.seconds, ""
            row.changed = changed_keys(event.op, event.old, event.new, event.detailed, outputs=refreshed) or row.changed
            return row
        elif isinstance(event, StepFailed):
            row = self._row(event.urn, None)
            row.op, row.state, row.seconds, row.progress = event.op, "failed", event.seconds, ""
            row.errors += 1
            self.diagnostics.append(Diagnostic("error", event.message, event.urn))
            return row
        elif isinstance(event, OutputsRegistered):
            return self._row(event.urn, event.new)
        elif isinstance(event, Diagnostic):
            return self._diagnose(event)
        elif isinstance(event, Violation):
            self.violations.append(event)
        elif isinstance(event, Remediation):
            self.remedies.append(event)
        else:
            self.finished = event
        return None

    def _diagnose(self, event: Diagnostic) -> Row | None:
        if event.severity == "debug":
            return None
        # A resource may be refused before its first step.
        row = self._row(event.urn, None) if event.urn else self.rows.get(self.root)
        if row and event.severity in ("info", "warning") and event.message.strip():
            row.progress = event.message.strip().splitlines()[-1]
        if not event.ephemeral:
            self.diagnostics.append(event)
            if row:
                row.errors += event.severity == "error"
                row.warnings += event.severity == "warning"
        return row

    def _row(self, urn: str, resource: Resource | None) -> Row:
        row = self.rows.get(urn)
        if row is None:
            type = resource.type if resource else urn.split("::")[-2].rpartition("$")[2]
            row = self.rows[urn] = Row(urn, type, urn.rpartition("::")[2], resource.parent if resource else "")
            if type == type_stack:
                self.root = urn
        return row

    @property
    def problems(self) -> int:
        return sum(1 for row in self.rows.values() if row.state == "failed")

    def ordered(self) -> list[tuple[str, Row]]:
        """(branch, row) in tree order: those that change, and their ancestors; ``branch`` is drawn before the type."""
        wanted: set[str] = set()
        for row in self.rows.values():
            if row.op != "same" or row.errors or row.warnings or row.urn == self.root:
                urn = row.urn
                while urn and urn in self.rows and urn not in wanted:
                    wanted.add(urn)
                    urn = self.rows[urn].parent
        children: dict[str, list[Row]] = {}
        for row in self.rows.values():
            if row.urn in wanted:
                parent = row.parent if row.parent in wanted else "" if row.urn == self.root else self.root
                children.setdefault(parent if parent in wanted else "", []).append(row)
        result: list[tuple[str, Row]] = []

        def add(parent: str, before: str, *, top: bool = False) -> None:
            rows = children.get(parent, [])
            for row in rows:
                last = row is rows[-1]
                result.append(("" if top else f"{before}{'└─' if last else '├─'} ", row))
                add(row.urn, "" if top else f"{before}{'  ' if last else '│ '} ")

        add("", "", top=True)
        return result
