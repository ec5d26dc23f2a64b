"""What changes in each resource: ``--diff``, and the answer "details"."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from engine.display import policies, words
from engine.display.values import resource_lines, scalar, sign_of, text, top
from engine.events import Event, Remediation, StepDone, StepStarted, Violation
from engine.model import type_stack


class Differ:
    """Gives the lines of one event; knows parents, so that a resource is indented below its component."""

    def __init__(self) -> None:
        self._depths: dict[str, int] = {}

    def __call__(self, event: Event) -> Iterator[str]:
        if isinstance(event, StepStarted):
            self._depths[event.urn] = self._depths.get(event.resource.parent, -1) + 1
        if worth_showing(event):
            yield from self._show(event)
        elif isinstance(event, Violation | Remediation):
            yield from policies.in_place(event)

    def _show(self, step: StepStarted | StepDone) -> Iterator[str]:
        depth, word = self._depths[step.urn], words.operations[step.op]
        title = f"{word.sign} {words.short_type(step.resource.type)}: ({step.op})"
        yield "    " * depth + words.paint(title, word.colour)
        if step.old and step.old.id:
            yield f"{'    ' * (depth + 1)}[id={step.old.id}]"
        yield f"{'    ' * (depth + 1)}[urn={step.urn}]"
        body = list(resource_lines(step, depth + 1))
        yield from map(text, body)
        if step.old and step.new:
            # What the provider says differs though the inputs do not (drift in what is really there).
            shown = {line[2].split(":")[0].strip() for line in body if line[1] == depth + 1}
            for path, kind in sorted((step.detailed or {}).items()):
                if top(path) not in shown and not path.startswith("__"):
                    gone = f": {scalar(step.old.outputs.get(path))}" if sign_of(kind) == "-" else ""
                    yield text((sign_of(kind), depth + 1, f"{path}{gone}"))


def worth_showing(event: Event) -> TypeGuard[StepStarted | StepDone]:
    """Whether it is a step that changes something (of a refresh only its end tells), or the stack's own."""
    if isinstance(event, StepDone):
        return event.refreshed and event.op in ("update", "delete")
    if isinstance(event, StepStarted) and event.op != "refresh":
        return event.op not in words.quiet or event.resource.type == type_stack
    return False
