"""The live tree of a terminal: a row per resource that changes, redrawn in place, printed once more when done."""

from __future__ import annotations

import threading
import time
from typing import TextIO

from rich.console import Console
from rich.live import Live
from rich.text import Text

from engine.display import words
from engine.display.board import Board, Row
from engine.display.summary import summary
from engine.events import Event


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
            self._console.print()
        for line in summary(self._board, self._color):
            self._out.write(line + "\n")
        self._out.flush()

    def _render(self) -> Text:
        with self._lock:
            return self._rows(final=False)

    def _rows(self, *, final: bool) -> Text:
        preview = self._board.preview
        ordered = self._board.ordered()
        if not final and len(ordered) > (room := max(5, self._console.height - 4)):
            # what is running or failed matters; what is done has scrolled by
            busy = [item for item in ordered if item[1].state in ("running", "failed")]
            ordered = (busy + [item for item in ordered if item not in busy][::-1])[:room]
        cells = [("", "", "Type", "Name", "Plan" if preview else "Status", "Info")]
        for branch, row in ordered:
            status = row.status(preview, row.whole)
            if row.state == "running" and not preview and row.op != "same":
                status += f" ({time.monotonic() - row.began:.0f}s)"
            style = "red" if row.state == "failed" else words.colour(row.whole)
            type = branch + words.short_type(row.type)
            cells.append((style, words.symbol(row.whole), type, row.name, status, _info(row, final)))
        width = self._console.width
        longest = [max(len(cell[column]) for cell in cells) for column in range(2, 6)]
        widths = _fitted(longest[:3], longest[3] + 2, width)
        used = 5 + sum(widths) + 2 * 2
        table = Text(no_wrap=not final, overflow="ellipsis")
        for index, (style, sign, type, name, status, info) in enumerate(cells):
            line = Text.assemble(
                (f" {sign:<2}  ", style),
                f"{_cut(type, widths[0])}  {_cut(name, widths[1])}  ",
                (f"{status:<{widths[2]}}", style),
                style="" if index else "bold",
            )
            if info and (not final or used + 2 + len(info) <= width):
                line.append(f"  {info}")
            elif info and index:  # what stays on the screen is told in full, below its row
                line.append(f"\n{' ' * 9}{info}")
            line.rstrip()
            if not final:
                line.truncate(width, overflow="ellipsis")
            table.append_text(line).append("\n")
        table.rstrip()
        return table


def _fitted(widths: list[int], info: int, room: int) -> list[int]:
    """Widths of type, name and status: the status is always seen, and types and names keep what they can."""
    # A narrow terminal has room for a sign that there is more, a wide one for the beginning.
    left = max(room - 5 - 2 * 2 - widths[2] - min(info, room // 4 if room >= 100 else 3), 24)
    if widths[0] + widths[1] > left:
        name = min(widths[1], max(left - widths[0], left // 3))
        widths = [min(widths[0], left - name), name, widths[2]]
    return widths


def _cut(text: str, width: int) -> str:
    return text.ljust(width) if len(text) <= width else f"{text[: width - 1]}…"


def _info(row: Row, final: bool) -> str:
    pieces = [row.changed] if row.changed else []
    if row.errors:
        pieces.append(f"{row.errors} error{'s' if row.errors > 1 else ''}")
    if row.warnings:
        pieces.append(f"{row.warnings} warning{'s' if row.warnings > 1 else ''}")
    if row.progress and not final and row.state != "done":
        pieces.append(row.progress)
    return "; ".join(pieces)
