"""The live tree of a terminal: a row per resource that changes, redrawn in place, printed once more when done."""

from __future__ import annotations

import threading
import time
from typing import NamedTuple, TextIO

import click
from rich.console import Console
from rich.live import Live
from rich.text import Text

from engine.display import words
from engine.display.board import Board, Row
from engine.display.summary import summary
from engine.events import Event


class _Cells(NamedTuple):
    style: str
    sign: str
    type: str
    name: str
    status: str
    info: str


class Tree:
    def __init__(self, out: TextIO, color: bool) -> None:
        self._out, self._color = out, color
        self._board = Board()
        self._lock = threading.Lock()  # events and the redrawing thread
        self._console = Console(file=out, highlight=False, markup=False, color_system="auto" if color else None)
        self._live = Live(
            get_renderable=self._render,
            console=self._console,
            refresh_per_second=8,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def __call__(self, event: Event) -> None:
        with self._lock:
            self._board.take(event)

    def close(self) -> None:
        self._live.stop()
        with self._lock:
            self._console.print(self._rows(final=True), soft_wrap=True)
        for line in ("", *summary(self._board)):
            click.echo(line, file=self._out, color=self._color)

    def _render(self) -> Text:
        with self._lock:
            return self._rows(final=False)

    def _rows(self, *, final: bool) -> Text:
        ordered = self._board.ordered()
        if not final and len(ordered) > (room := max(5, self._console.height - 4)):
            # what is running or failed matters; what is done has scrolled by
            busy = [item for item in ordered if item[1].state in ("running", "failed")]
            ordered = (busy + [item for item in ordered if item not in busy][::-1])[:room]
        rows = [_Cells("", "", "Type", "Name", "Plan" if self._board.preview else "Status", "Info")]
        rows += [self._cells(branch, row, final) for branch, row in ordered]
        width = self._console.width
        type, name, status, info = (max(len(row[column]) for row in rows) for column in range(2, 6))
        # The status is always seen, types and names keep what they can.  A narrow terminal has room for a sign that
        # there is more, a wide one for the beginning.
        left = max(width - 9 - status - min(info + 2, width // 4 if width >= 100 else 3), 24)
        if type + name > left:
            name = min(name, max(left - type, left // 3))
            type = min(type, left - name)
        table = Text(no_wrap=not final, overflow="ellipsis")
        for row in rows:
            line = Text.assemble(
                (f" {row.sign:<2}  ", row.style),
                f"{_cut(row.type, type)}  {_cut(row.name, name)}  ",
                (f"{row.status:<{status}}", row.style),
                style="bold" if row is rows[0] else "",
            )
            if row.info and (not final or 11 + type + name + status + len(row.info) <= width):
                line.append(f"  {row.info}")
            elif row.info and row is not rows[0]:  # what stays on the screen is told in full, below its row
                line.append(f"\n{' ' * 9}{row.info}")
            line.rstrip()
            if not final:
                line.truncate(width, overflow="ellipsis")
            table.append_text(line).append("\n")
        table.rstrip()
        return table

    def _cells(self, branch: str, row: Row, final: bool) -> _Cells:
        status = row.status(self._board.preview, row.whole)
        if row.state == "running" and not self._board.preview and row.op != "same":
            status += f" ({time.monotonic() - row.began:.0f}s)"
        counts = ((row.errors, "error"), (row.warnings, "warning"))
        told = [f"{count} {what}{'s' if count > 1 else ''}" for count, what in counts if count]
        progress = row.progress if row.state != "done" and not final else ""
        info = "; ".join(piece for piece in (row.changed, *told, progress) if piece)
        sign = words.operations[row.whole].sign
        return _Cells(row.colour, sign, branch + words.short_type(row.type), row.name, status, info)


def _cut(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else f"{text[: width - 1]}…"
