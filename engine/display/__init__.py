"""Events become something to look at.

===========  =============================================================================
``words``    symbols, verbs and colours of operations
``board``    rows: what is known of each resource so far, the diagnostics, the counts
``tree``     the live tree of a terminal
``plain``    one line per event, for logs and pipes
``values``   property values and their differences as text
``diff``     what changes in each resource (``--diff``, and "details")
``digest``   ``preview --json``
``stream``   ``--json`` of the other operations
``policies`` what policy packs said
``summary``  diagnostics, outputs, counts, duration: the end of each of the above
===========  =============================================================================

:func:`show` picks one.
"""

from __future__ import annotations

from typing import Literal, Protocol, TextIO

from engine.events import Event


class Display(Protocol):
    """Takes the events of one operation; ``close`` comes last, also when the operation was stopped."""

    def __call__(self, event: Event) -> None: ...

    def close(self) -> None: ...


def show(out: TextIO, *, live: bool, color: bool, diff: bool, json: Literal["", "digest", "stream"]) -> Display:
    """The display for these flags; ``live`` is whether ``out`` is a terminal that may be redrawn."""
    if json == "stream":
        from engine.display.stream import Stream

        return Stream(out)
    if json:
        from engine.display.digest import Digest

        return Digest(out)
    if live and not diff:
        from engine.display.tree import Tree

        return Tree(out, color)
    from engine.display.plain import Plain

    return Plain(out, color, diff)
