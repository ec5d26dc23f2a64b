"""What is known of each resource so far; every display that needs rows keeps one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field

from engine import events
from engine.display import words
from engine.display.values import changed_keys
from engine.events import Diagnostic, Event, Finished, Remediation, Violation
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

    @property
    def title(self) -> str:
        return f"{words.short_type(self.type)} {self.name}"

    @property
    def colour(self) -> str:
        return "red" if self.state == "failed" else words.operations[self.whole].colour

    def status(self, preview: bool, op: str = "") -> str:
        """Pulumi's words: ``create`` in a preview, ``creating`` or ``created (1.2s)`` in an update."""
        op = op or self.op
        if self.state == "failed":
            return f"**{words.operations[op].running} failed**"
        if op == "same" or not self.state:
            return ""
        if preview and op != "refresh":
            return op
        if self.state == "running":
            return words.operations[op].running
        return f"{words.operations[op].done} ({words.duration(self.seconds)})"


@dataclass
class Board:
    """Rows in the order in which they came, and what else is told at the end."""

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
        row: Row | None = None
        match event:
            case events.Started():
                self.preview, self.stack_name = event.preview, f"{event.project}-{event.stack}"
            case events.StepStarted():
                row = self._row(event.urn, event.resource)
                row.op, row.state, row.began = event.op, "running", time.monotonic()
                row.changed = changed_keys(event) or row.changed
            case events.StepDone():
                row = self._row(event.urn, event.resource)
                if event.op != "same" or row.op in ("same", "refresh"):
                    row.op = event.op
                row.state, row.seconds, row.progress = "done", event.seconds, ""
                row.changed = changed_keys(event) or row.changed
            case events.StepFailed():
                row = self._row(event.urn)
                row.op, row.state, row.seconds = event.op, "failed", event.seconds
                self._diagnose(Diagnostic("error", event.message, event.urn), row)
            case events.OutputsRegistered():
                row = self._row(event.urn, event.new)
            case events.Diagnostic() if event.severity != "debug":
                # A resource may be refused before its first step.
                row = self._row(event.urn) if event.urn else self.rows.get(self.root)
                self._diagnose(event, row)
            case events.Violation():
                self.violations.append(event)
            case events.Remediation():
                self.remedies.append(event)
            case events.Finished():
                self.finished = event
        return row

    def _diagnose(self, event: Diagnostic, row: Row | None) -> None:
        if not event.ephemeral:
            self.diagnostics.append(event)
        if row:
            said = event.message.strip().splitlines()
            row.progress = said[-1] if said and event.severity != "error" else ""
            row.errors += event.severity == "error" and not event.ephemeral
            row.warnings += event.severity == "warning" and not event.ephemeral

    def _row(self, urn: str, resource: Resource | None = None) -> Row:
        row = self.rows.get(urn)
        if row is None:
            type = resource.type if resource else urn.split("::")[-2].rpartition("$")[2]
            row = self.rows[urn] = Row(urn, type, urn.rpartition("::")[2], resource.parent if resource else "")
            if type == type_stack:
                self.root = urn
        return row

    def ordered(self) -> list[tuple[str, Row]]:
        """(branch, row) in tree order: those that change, and their ancestors; ``branch`` is drawn before the type."""
        wanted: set[str] = set()
        for row in self.rows.values():
            if row.op != "same" or row.errors or row.warnings or row.urn == self.root:
                urn = row.urn
                while urn in self.rows and urn not in wanted:
                    wanted.add(urn)
                    urn = self.rows[urn].parent
        children: dict[str, list[Row]] = {}
        for urn in (each for each in self.rows if each in wanted and each != self.root):
            parent = self.rows[urn].parent
            children.setdefault(parent if parent in wanted else self.root, []).append(self.rows[urn])

        def below(urn: str, before: str) -> Iterator[tuple[str, Row]]:
            rows = children.get(urn, [])
            for row in rows:
                last = row is rows[-1]
                yield f"{before}{'└─' if last else '├─'} " if urn else "", row
                yield from below(row.urn, f"{before}{'  ' if last else '│ '} " if urn else "")

        top = [("", self.rows[self.root])] if self.root else []
        return [*top, *below(self.root, "")]
