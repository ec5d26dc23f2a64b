"""One line per event, for pipes and logs: no cursor movement, and progress only now and then."""

from __future__ import annotations

import time
from typing import Final, TextIO

from engine.display import words
from engine.display.board import Board, Row
from engine.display.diff import Differ
from engine.display.summary import message, summary
from engine.events import Diagnostic, Event, StepDone, StepFailed, StepStarted

_pause: Final = 5.0  # seconds between two progress messages of one resource


class Plain:
    """``diff``: what changes in each resource instead of a line for its beginning."""

    def __init__(self, out: TextIO, color: bool, diff: bool) -> None:
        self._out, self._color = out, color
        self._board = Board()
        self._differ = Differ(color) if diff else None
        self._last: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        known = self._board.rows.get(event.urn) if isinstance(event, StepDone) else None
        started = known.op if known else ""
        row = self._board.take(event)
        if self._differ:
            for line in self._differ(event):
                self._print(line)
        if isinstance(event, StepStarted) and row:
            if not self._differ and event.op not in (*words.quiet, "refresh", "replace"):
                self._row(row)
        elif isinstance(event, StepDone) and row:
            refreshed = event.op != started  # only its end tells what a refresh step found
            if not self._differ and row.op not in words.quiet and (refreshed or not self._board.preview):
                self._row(row)
        elif isinstance(event, StepFailed) and row:
            self._row(row)
        elif isinstance(event, Diagnostic) and event.severity != "debug":
            self._diagnose(event, row)

    def _diagnose(self, event: Diagnostic, row: Row | None) -> None:
        name = f"{words.short_type(row.type)} {row.name}" if row else self._board.stack_name
        if event.ephemeral:
            now = time.monotonic()
            if now - self._last.get(event.urn, -_pause) < _pause or not event.message.strip():
                return
            self._last[event.urn] = now
            self._print(f"    {name}: {event.message.strip().splitlines()[-1]}")
        elif event.message.strip():
            first, *rest = message(event, self._color).rstrip().split("\n")
            self._print(f"    {name}: {first}")
            for line in rest if event.severity == "info" else ():  # a longer error is told in full at the end
                self._print(f"      {line}")

    def _row(self, row: Row) -> None:
        sign = words.paint(words.symbol(row.op).ljust(2), words.colour(row.op), self._color)
        status = words.paint(
            row.status(self._board.preview), "red" if row.state == "failed" else words.colour(row.op), self._color
        )
        self._print(f" {sign} {words.short_type(row.type)} {row.name} {status} {row.changed}".rstrip())

    def _print(self, line: str) -> None:
        self._out.write(line + "\n")
        self._out.flush()

    def close(self) -> None:
        self._print("")
        for line in summary(self._board, self._color, all_diagnostics=False, diff=self._differ is not None):
            self._print(line)
