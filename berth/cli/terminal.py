"""What commands print, and how they end.

Results go to standard output, a table or with ``--json`` one JSON object; whatever else is said goes to standard
error.  Exit statuses: 0 done, 1 refused or not as it should be, 2 wrong usage, 3 no answer: trying again may help.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import wraps
from typing import Any, Final, ParamSpec, TypeVar

import typer
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from berth.chain.errors import ChainError, TemporaryError
from berth.kit.client import ClientError, Unreachable, WrongUsage

P = ParamSpec("P")
T = TypeVar("T")
refused: Final = 1
misused: Final = 2
no_answer: Final = 3
unavailable: Final = 503  # of HTTP: a service that says to try again
_wide: Final = 1000  # columns
statuses: Final = "Exit status: 0 done, 1 refused or not as it should be, 2 wrong usage, 3 no answer (try again)."


class CommandError(Exception):
    """The command cannot do what it was asked; the message says why and what to do."""

    def __init__(self, message: str, status: int = refused) -> None:
        super().__init__(message)
        self.status = status


def out() -> Console:
    """For results.  Made when it is used, so that it writes where standard output is then."""
    made = Console(highlight=False, soft_wrap=True)
    if not made.is_terminal and "COLUMNS" not in os.environ:
        made.width = _wide  # programs read lines, and no line is too long for them
    return made


def note(text: str) -> None:
    """Something that is not the result."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(escape(text))


@contextmanager
def working(text: str) -> Iterator[None]:
    """Shows that something takes time, where a person looks on."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield
        return
    with console.status(escape(text)):
        yield


def show_json(value: Any, lines: bool = False) -> None:
    """One JSON object; ``lines``: on one line, because others follow."""
    typer.echo(json.dumps(value, indent=None if lines else 2))


def show_table(columns: Sequence[str], rows: Sequence[Sequence[object]], empty: str) -> None:
    """A table; ``empty`` is said where there are no rows."""
    if not rows:
        out().print(escape(empty))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(escape("-" if cell is None or cell == "" else str(cell)) for cell in row))
    out().print(table)


def ago(moment: float | None) -> str:
    """How long ago a UNIX second was."""
    return "never" if not moment else f"{span(time.time() - moment)} ago"


def until(moment: float | None) -> str:
    """How long until a UNIX second; 0 and None are never."""
    if not moment:
        return "never"
    left = moment - time.time()
    return f"in {span(left)}" if left > 0 else f"{span(-left)} ago"


def size(count: int) -> str:
    """Bytes in a unit that suits them."""
    amount, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if amount < 1024:
            break
        amount, unit = amount / 1024, larger
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def span(seconds: float) -> str:
    """A duration in its largest unit."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds / size:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} s"


def ending(command: Callable[P, T]) -> Callable[P, T]:
    """Turns what can go wrong into a sentence on standard error and an exit status."""

    @wraps(command)
    def run(*arguments: P.args, **named: P.kwargs) -> T:
        try:
            return command(*arguments, **named)
        except (CommandError, ClientError, ChainError) as error:
            status = refused
            if isinstance(error, CommandError):
                status = error.status
            elif isinstance(error, WrongUsage):
                status = misused
            elif isinstance(error, Unreachable | TemporaryError) or getattr(error, "status", 0) == unavailable:
                status = no_answer
            note(f"berth: {error}")
            raise typer.Exit(status) from None

    return run
