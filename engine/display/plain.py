"""One line per event, for pipes and logs: no cursor movement, and progress only now and then."""

from __future__ import annotations

import time
from typing import Final, TextIO

import click

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
        self._differ = Differ() if diff else None
        self._last: dict[str, float] = {}

    def __call__(self, event: Event) -> None:
        row = self._board.take(event)
        for line in self._differ(event) if self._differ else ():
            self._print(line)
        if isinstance(event, Diagnostic):
            self._diagnose(event, row)
        elif row and (isinstance(event, StepFailed) or (not self._differ and self._worth_a_line(event))):
            word = words.operations[row.op]
            status = words.paint(row.status(self._board.preview), "red" if row.state == "failed" else word.colour)
            self._print(f" {words.paint(word.sign.ljust(2), word.colour)} {row.title} {status} {row.changed}".rstrip())

    def _worth_a_line(self, event: Event) -> bool:
        if isinstance(event, StepDone):  # in a preview it was told at its beginning, but for what a refresh found
            return event.op not in words.quiet and (event.refreshed or not self._board.preview)
        return isinstance(event, StepStarted) and event.op not in (*words.quiet, "refresh", "replace")

    def _diagnose(self, event: Diagnostic, row: Row | None) -> None:
        if event.severity == "debug" or not event.message.strip():
            return
        name = row.title if row else self._board.stack_name
        if event.ephemeral:
            now = time.monotonic()
            if now - self._last.get(event.urn, -_pause) >= _pause:
                self._last[event.urn] = now
                self._print(f"    {name}: {event.message.strip().splitlines()[-1]}")
            return
        first, *rest = message(event).rstrip().split("\n")
        self._print(f"    {name}: {first}")
        for line in rest if event.severity == "info" else ():  # a longer error is told in full at the end
            self._print(f"      {line}")

    def _print(self, line: str) -> None:
        click.echo(line, file=self._out, color=self._color)

    def close(self) -> None:
        self._print("")
        for line in summary(self._board, all_diagnostics=False, diff=self._differ is not None):
            self._print(line)
