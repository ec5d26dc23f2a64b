"""How operations, resources and durations are named and coloured."""

from __future__ import annotations

from typing import Final, NamedTuple

import click


class Words(NamedTuple):
    """Of one operation: its sign, its colour, and what it is called while it runs and when it is done."""

    sign: str
    colour: str
    running: str
    done: str


operations: Final = {
    "same": Words(" ", "", "", ""),
    "create": Words("+", "green", "creating", "created"),
    "update": Words("~", "yellow", "updating", "updated"),
    "delete": Words("-", "red", "deleting", "deleted"),
    "replace": Words("+-", "bright_magenta", "replacing", "replaced"),
    "create-replacement": Words("++", "green", "creating replacement", "created replacement"),
    "delete-replaced": Words("--", "red", "deleting original", "deleted original"),
    "read": Words(">", "cyan", "reading", "read"),
    "read-replacement": Words(">>", "cyan", "reading for replacement", "read for replacement"),
    "refresh": Words("~", "yellow", "refreshing", "refreshed"),
    "import": Words("=", "green", "importing", "imported"),
    "import-replacement": Words("=>", "green", "importing replacement", "imported replacement"),
    "discard": Words("<", "red", "discarding", "discarded"),
    "discard-replaced": Words("<<", "red", "discarding", "discarded"),
    "remove-pending-replace": Words("~", "yellow", "completing", "completed"),
}
quiet: Final = ("same", "read", "read-replacement", "discard")  # no change to what is managed


def paint(text: str, colour: str) -> str:
    """``text`` in an ANSI colour; :func:`click.echo` takes it off again where none is wanted."""
    return click.style(text, fg=colour) if colour else text


def heading(text: str) -> str:
    return paint(text, "bright_magenta")


def short_type(type: str) -> str:
    """``docker:index/network:Network`` as ``docker:index:Network``, as Pulumi shows it."""
    parts = type.split(":")
    if len(parts) == 3 and "/" in parts[1]:
        module, _, file = parts[1].rpartition("/")
        if file.lower() == parts[2].lower():
            return f"{parts[0]}:{module}:{parts[2]}"
    return type


def duration(seconds: float) -> str:
    """``3s``, ``2m5s``; below ten seconds with a decimal."""
    if seconds < 9.95:
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}m{rest}s" if minutes else f"{rest}s"
