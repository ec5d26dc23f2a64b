"""Property values and their differences as lines of text; secrets are never shown."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any

from engine.model import UNKNOWN, PropertyMap, Reference, Resource, Secret

Line = tuple[str, int, str]  # "+", "-", "~" or " "; depth; text
_longest = 200  # characters of one text value


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


def visible(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without the keys that belong to engines (``__provider``, ``__defaults``)."""
    return {key: value for key, value in values.items() if not key.startswith("__")}


def lines(value: Any, sign: str, depth: int, label: str) -> Iterator[Line]:
    """All of a value below ``label``."""
    items = list(_items(value))
    if not items:
        yield sign, depth, f"{label}: {scalar(value)}"
        return
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    yield sign, depth, f"{label}: {opening}"
    width = max(len(key) for key, _ in items)
    for key, item in items:
        yield from lines(item, sign, depth + 1, key.ljust(width))
    yield " ", depth, closing


def difference(old: Any, new: Any, depth: int, label: str) -> Iterator[Line]:
    """Only what differs, down to the single key; nothing when nothing does."""
    if old is new or (type(old) is type(new) and old == new):
        return
    if type(old) is type(new) and isinstance(new, dict | list):
        opening, closing = "{}" if isinstance(new, dict) else "[]"
        before, after = dict(_items(old)), dict(_items(new))
        inner = list(differences(before, after, depth + 1))
        if inner:
            yield "~", depth, f"{label}: {opening}"
            yield from inner
            yield " ", depth, closing
    elif isinstance(old, str) and isinstance(new, str) and "\n" in old and "\n" in new:
        yield "~", depth, f"{label}: (text)"
        for line in list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=1, lineterm=""))[2:202]:
            if not line.startswith("@@"):
                yield line[0], depth + 1, line[1:]
    elif _items(old) or _items(new):
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


def changed_keys(
    op: str, old: Resource | None, new: Resource | None, detailed: Mapping[str, str] | None, outputs: bool = False
) -> str:
    """``[diff: ~entries,+key]`` for an update or a replacement; empty otherwise."""
    if old is None or new is None or op in ("same", "create", "delete", "read"):
        return ""
    before, after = _compared(old, new, outputs)
    signs = {
        key: "+" if key not in before else "-" if key not in after else "~" for key in before.keys() | after.keys()
    }
    keys = {key: sign for key, sign in signs.items() if sign != "~" or before[key] != after[key]}
    for path, kind in (detailed or {}).items():
        top = path.split(".")[0].split("[")[0]
        keys.setdefault(
            top, "+" if kind.startswith("add") and top == path else "-" if kind == "delete" and top == path else "~"
        )
    shown = ",".join(f"{keys[key]}{key}" for key in sorted(keys) if not key.startswith("__"))
    return f"[diff: {shown}]" if shown else ""


def resource_lines(
    op: str, old: Resource | None, new: Resource | None, depth: int, *, outputs: bool = False
) -> Iterator[Line]:
    """What ``--diff`` shows below a resource's name: all inputs of a new one, what differs in a changed one."""
    if old is None and new is not None:
        yield from _aligned(visible(new.inputs), depth)
    elif old is not None and new is not None and op != "same":
        before, after = _compared(old, new, outputs)
        yield from differences(before, after, depth)


def _compared(old: Resource, new: Resource, outputs: bool) -> tuple[PropertyMap, PropertyMap]:
    """Inputs, or outputs where only they tell (a refresh)."""
    if outputs:
        before, after = visible(old.outputs), visible(new.outputs)
        if before != after:
            return before, after
    return visible(old.inputs), visible(new.inputs)


def _aligned(values: PropertyMap, depth: int) -> Iterator[Line]:
    width = max((len(key) for key in values), default=0)
    for key in sorted(values):
        yield from lines(values[key], " ", depth, key.ljust(width))


def _items(value: Any) -> list[tuple[str, Any]]:
    if isinstance(value, dict):
        return [(key, value[key]) for key in sorted(value) if not key.startswith("__")]
    if isinstance(value, list):
        return [(f"[{index}]", item) for index, item in enumerate(value)]
    return []
