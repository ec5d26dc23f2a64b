"""How operations are named and coloured."""

from __future__ import annotations

from typing import Final

# operation: symbol, colour, while it runs, when it is done
operations: Final[dict[str, tuple[str, str, str, str]]] = {
    "same": (" ", "", "", ""),
    "create": ("+", "green", "creating", "created"),
    "update": ("~", "yellow", "updating", "updated"),
    "delete": ("-", "red", "deleting", "deleted"),
    "replace": ("+-", "magenta", "replacing", "replaced"),
    "create-replacement": ("++", "green", "creating replacement", "created replacement"),
    "delete-replaced": ("--", "red", "deleting original", "deleted original"),
    "read": (">", "cyan", "reading", "read"),
    "read-replacement": (">>", "cyan", "reading for replacement", "read for replacement"),
    "refresh": ("~", "yellow", "refreshing", "refreshed"),
    "import": ("=", "green", "importing", "imported"),
    "import-replacement": ("=>", "green", "importing replacement", "imported replacement"),
    "discard": ("<", "red", "discarding", "discarded"),
    "discard-replaced": ("<<", "red", "discarding", "discarded"),
    "remove-pending-replace": ("~", "yellow", "completing", "completed"),
}
quiet: Final = ("same", "read", "read-replacement", "discard")  # no change to what is managed
_codes: Final = {"red": 31, "green": 32, "yellow": 33, "magenta": 95, "cyan": 36, "bold": 1, "dim": 2}


def symbol(op: str) -> str:
    return operations[op][0]


def colour(op: str) -> str:
    return operations[op][1]


def running(op: str) -> str:
    return operations[op][2]


def done(op: str) -> str:
    return operations[op][3]


def paint(text: str, style: str, on: bool) -> str:
    """``text`` in an ANSI colour, where colours are wanted."""
    return f"\033[{_codes[style]}m{text}\033[0m" if on and style else text


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
