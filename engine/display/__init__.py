"""Events become something to look at: :func:`show` picks the display."""

from __future__ import annotations

from typing import Literal, Protocol, TextIO

from engine.events import Event


class Display(Protocol):
    """Takes the events of one operation; ``close`` comes last, also when the operation was stopped."""

    def __call__(self, event: Event) -> None: ...

    def close(self) -> None: ...


def show(out: TextIO, *, live: bool, color: bool, diff: bool, json: Literal["", "digest", "stream"]) -> Display:
    """The display for these flags; ``live`` is whether ``out`` is a terminal that may be redrawn."""
    if json:
        from engine.display.documents import Digest, Stream

        return Digest(out) if json == "digest" else Stream(out)
    if live and not diff:
        from engine.display.tree import Tree  # loads rich

        return Tree(out, color)
    from engine.display.plain import Plain

    return Plain(out, color, diff)
