"""What changes in each resource: ``--diff``, and the answer "details"."""

from __future__ import annotations

from collections.abc import Iterator

from engine.display import policies, words
from engine.display.summary import text
from engine.display.values import resource_lines, scalar
from engine.events import Event, Remediation, StepDone, StepStarted, Violation
from engine.model import Resource, type_stack


class Differ:
    """Gives the lines of one event; knows parents, so that a resource is indented below its component."""

    def __init__(self, color: bool) -> None:
        self._color = color
        self._depths: dict[str, int] = {}
        self._refreshing: set[str] = set()

    def __call__(self, event: Event) -> Iterator[str]:
        if isinstance(event, StepStarted):
            self._note(event.urn, event.new or event.old)
            if event.op == "refresh":
                self._refreshing.add(event.urn)  # only its end tells what differs
            elif event.op not in words.quiet or (event.new or event.old or _nothing).type == type_stack:
                yield from self._show(event, outputs=False)
        elif isinstance(event, StepDone) and event.urn in self._refreshing:
            self._refreshing.discard(event.urn)
            if event.op in ("update", "delete"):
                yield from self._show(event, outputs=True)
        elif isinstance(event, Violation):
            yield from policies.violation(event, self._color)
        elif isinstance(event, Remediation):
            title, body = policies.remediation(event, self._color)
            yield from [title, *(text(line, self._color) for line in body)] if body else []

    def _note(self, urn: str, resource: Resource | None) -> None:
        parent = resource.parent if resource else ""
        self._depths[urn] = self._depths.get(parent, -1) + 1

    def _show(self, event: StepStarted | StepDone, *, outputs: bool) -> Iterator[str]:
        resource = event.new or event.old
        if resource is None:
            return
        depth = self._depths[event.urn]
        sign = words.symbol(event.op)
        title = f"{sign} {words.short_type(resource.type)}: ({event.op})"
        yield "    " * depth + words.paint(title, words.colour(event.op), self._color)
        if event.old and event.old.id:
            yield f"{'    ' * (depth + 1)}[id={event.old.id}]"
        yield f"{'    ' * (depth + 1)}[urn={event.urn}]"
        body = list(resource_lines(event.op, event.old, event.new, depth + 1, outputs=outputs))
        yield from (text(line, self._color) for line in body)
        if event.old and event.new:
            shown = {line[2].split(":")[0].strip() for line in body if line[1] == depth + 1}
            yield from self._unexplained(event, shown, depth + 1)

    def _unexplained(self, event: StepStarted | StepDone, shown: set[str], depth: int) -> Iterator[str]:
        """What the provider says differs though the inputs do not (drift in what is really there)."""
        for path, kind in sorted((event.detailed or {}).items()):
            if path.split(".")[0].split("[")[0] not in shown and not path.startswith("__"):
                sign = "+" if kind.startswith("add") else "-" if kind.startswith("delete") else "~"
                old = event.old.outputs.get(path) if event.old else None
                yield text((sign, depth, f"{path}: {scalar(old)}" if sign == "-" else path), self._color)


_nothing = Resource("", "", False)
