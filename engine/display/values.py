"""Property values and their differences as lines of text; secrets are never shown."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from engine.display.words import paint
from engine.events import StepDone, StepStarted
from engine.model import UNKNOWN, PropertyMap, Reference, Secret

Line = tuple[str, int, str]  # "+", "-", "~" or " "; depth; text
_longest = 200  # characters of one text value


def text(line: Line) -> str:
    """A line as it is printed: depth 1 and more, four columns each, the sign before them."""
    sign, depth, content = line
    style = {"+": "green", "-": "red", "~": "yellow"}.get(sign, "")
    return " " * (4 * depth - 2) + paint(f"{sign} {content}", style)


def scalar(value: Any) -> str:
    """One value on one line."""
    if isinstance(value, Secret):
        return "[secret]"
    if value is UNKNOWN:
        return "[unknown]"
    if isinstance(value, Reference):
        return f"<{value.urn}>"
    if isinstance(value, dict):
        return "{}" if not value else f"{{{len(value)} keys}}"
    if isinstance(value, list):
        return "[]" if not value else f"[{len(value)} elements]"
    if value is None:
        return "<null>"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _longest else f"{text[:_longest]}... ({len(text)} characters)"


def items(value: Any) -> dict[str, Any]:
    """What is inside, by key or index, in order and without engines' own keys; empty for everything else."""
    if isinstance(value, dict):
        return {key: value[key] for key in sorted(value) if not key.startswith("__")}
    if isinstance(value, list):
        return {f"[{index}]": item for index, item in enumerate(value)}
    return {}


def lines(value: Any, sign: str, depth: int, label: str) -> Iterator[Line]:
    """All of a value below ``label``."""
    inside = items(value)
    if not inside:
        yield sign, depth, f"{label}: {scalar(value)}"
        return
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    yield sign, depth, f"{label}: {opening}"
    yield from aligned(inside, sign, depth + 1)
    yield " ", depth, closing


def aligned(values: Mapping[str, Any], sign: str, depth: int) -> Iterator[Line]:
    """All of a map, its keys padded to one width."""
    width = max((len(key) for key in values), default=0)
    for key, item in values.items():
        yield from lines(item, sign, depth, key.ljust(width))


def difference(old: Any, new: Any, depth: int, label: str) -> Iterator[Line]:
    """Only what differs, down to the single key; nothing when nothing does."""
    if old is new or (type(old) is type(new) and old == new):
        return
    if type(old) is type(new) and isinstance(new, dict | list):
        opening, closing = "{}" if isinstance(new, dict) else "[]"
        if inner := list(differences(items(old), items(new), depth + 1)):
            yield "~", depth, f"{label}: {opening}"
            yield from inner
            yield " ", depth, closing
    elif isinstance(old, str) and isinstance(new, str) and "\n" in old and "\n" in new:
        yield "~", depth, f"{label}: (text)"
        for line in list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm=""))[2:202]:
            if not line.startswith("@@"):
                yield line[0], depth + 1, line[1:]
    elif items(old) or items(new):
        yield from lines(old, "-", depth, label)
        yield from lines(new, "+", depth, label)
    elif old != new or isinstance(old, bool) != isinstance(new, bool):
        yield "~", depth, f"{label}: {scalar(old)} => {scalar(new)}"


def differences(old: Mapping[str, Any], new: Mapping[str, Any], depth: int) -> Iterator[Line]:
    """The differences of two maps, key by key in order; numbers as keys are ordered as numbers."""
    changed = [key for key in old.keys() | new.keys() if key not in old or key not in new or old[key] is not new[key]]
    for key in sorted(changed, key=lambda key: (0, int(key), "") if key.isdecimal() else (1, 0, key)):
        if key not in old:
            yield from lines(new[key], "+", depth, key)
        elif key not in new:
            yield from lines(old[key], "-", depth, key)
        else:
            yield from difference(old[key], new[key], depth, key)


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, str]:
    """The sign of each key that is not the same in both."""
    keys = sorted(key for key in old.keys() | new.keys() if key not in old or key not in new or old[key] != new[key])
    return {key: "+" if key not in old else "-" if key not in new else "~" for key in keys}


def changed_keys(step: StepStarted | StepDone) -> str:
    """``[diff: ~entries,+key]`` for an update or a replacement; empty otherwise."""
    if step.old is None or step.new is None or step.op in ("same", "create", "delete", "read"):
        return ""
    keys = changes(*_compared(step))
    for path, kind in (step.detailed or {}).items():
        keys.setdefault(top(path), sign_of(kind) if top(path) == path else "~")
    shown = ",".join(f"{sign}{key}" for key, sign in sorted(keys.items()) if not key.startswith("__"))
    return f"[diff: {shown}]" if shown else ""


def resource_lines(step: StepStarted | StepDone, depth: int) -> Iterator[Line]:
    """What ``--diff`` shows below a resource's name: all inputs of a new one, what differs in a changed one."""
    if step.old is None and step.new is not None:
        yield from aligned(items(step.new.inputs), " ", depth)
    elif step.new is not None and step.op != "same":
        yield from differences(*_compared(step), depth)


def top(path: str) -> str:
    """The property that a path of a detailed diff begins with."""
    return path.split(".")[0].split("[")[0]


def sign_of(kind: str) -> str:
    """The sign of a detailed diff's kind."""
    return "+" if kind.startswith("add") else "-" if kind.startswith("delete") else "~"


def _compared(step: StepStarted | StepDone) -> tuple[PropertyMap, PropertyMap]:
    """Inputs, or outputs where only they tell (a refresh)."""
    assert step.old is not None
    assert step.new is not None
    if isinstance(step, StepDone) and step.refreshed:
        before, after = items(step.old.outputs), items(step.new.outputs)
        if before != after:
            return before, after
    return items(step.old.inputs), items(step.new.inputs)
