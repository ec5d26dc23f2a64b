"""Comparing values by their table, and reading them back: equal is what the daemon takes for equal.

Unordered lists compare as sets, spellings of one value (durations, CPUs, capabilities) as that value,
and what is empty or zero as not given.  Everything here is pure.
"""

from __future__ import annotations

import json
import re
from typing import Any, cast

from engine.docker.schema import (
    DEFAULTS,
    Listing,
    Object,
    Property,
    TextMap,
    Type,
    is_zero,
)
from engine.model import UNKNOWN, PropertyMap, contains_unknown
from engine.provider import Kind


def normal(kind: Type, value: Any) -> Any:
    """One form for all spellings of the same value; None for what counts as not given."""
    if value is UNKNOWN or value is None:
        return value
    match kind:
        case Listing() if isinstance(value, list):
            items = [normal(kind.item, item) for item in value]
            return sorted(items, key=_order) if kind.unordered else items
        case Object() if isinstance(value, dict):
            return {
                row.name: form for row in kind.fields if not is_zero(form := normal_property(row, value.get(row.name)))
            }
        case TextMap() if isinstance(value, dict):
            return {key: item for key, item in value.items() if key != DEFAULTS}
    return int(value) if isinstance(value, float) and value == int(value) else value


def normal_property(row: Property, value: Any) -> Any:
    if value is None:
        value = row.default
    if row.same and not is_zero(value) and not contains_unknown(value):
        value = row.same(value)
    form = normal(row.type, value)
    return None if is_zero(form) else form


def _order(form: Any) -> str:
    return json.dumps(form, sort_keys=True, default=repr)


def diff(fields: tuple[Property, ...], olds: PropertyMap, news: PropertyMap) -> dict[str, Kind]:
    """What differs, by property path; empty when nothing does."""
    found: dict[str, Kind] = {}
    for row in fields:
        if row.output:
            continue
        old, new = normal_property(row, olds.get(row.name)), normal_property(row, news.get(row.name))
        if (old == new and not contains_unknown(new)) or (new is None and row.computed):
            continue
        replace = row.change == "replace" or (row.change == "limit" and new is None)
        details: dict[str, Kind] = {}
        _diff_value(row.type, row.name, old, new, olds.get(row.name), news.get(row.name), details)
        for path, kind in details.items():
            found[path] = cast(Kind, kind + "-replace") if replace else kind
    return found


def _diff_value(
    kind: Type, path: str, old: Any, new: Any, old_given: Any, new_given: Any, found: dict[str, Kind]
) -> None:
    """``old`` and ``new`` are normal forms; ``..._given`` keep the order in which elements were written."""
    if old is None or new is None or new is UNKNOWN or old is UNKNOWN:
        found[path] = "add" if old_given is None else "delete" if new_given is None else "update"
        return
    count = len(found)
    match kind:
        case Object():
            for row in kind.fields:
                before, after = old.get(row.name), new.get(row.name)
                if before != after or contains_unknown(after):
                    given = (_get(old_given, row.name), _get(new_given, row.name))
                    _diff_value(row.type, f"{path}.{row.name}", before, after, *given, found)
        case TextMap():
            for key in sorted({*old, *new}):
                if old.get(key) != new.get(key) or contains_unknown(new.get(key)):
                    found[_key_path(path, key)] = "add" if key not in old else "delete" if key not in new else "update"
        case Listing(unordered=True):
            _diff_set(kind.item, path, old_given or [], new_given or [], found)
        case Listing():
            for i in range(max(len(old), len(new))):
                before, after = (old[i] if i < len(old) else None), (new[i] if i < len(new) else None)
                if before != after or contains_unknown(after):
                    _diff_value(kind.item, f"{path}[{i}]", before, after, before, after, found)
    if len(found) == count:
        found[path] = "update"


def _diff_set(item: Type, path: str, olds: list[Any], news: list[Any], found: dict[str, Kind]) -> None:
    before = [_order(normal(item, value)) for value in olds]
    after = [_order(normal(item, value)) for value in news]
    for i, form in enumerate(before):
        if form not in after:
            found[f"{path}[{i}]"] = "delete"
    for i, form in enumerate(after):
        if form not in before or contains_unknown(news[i]):
            element = f"{path}[{i}]"
            found[element] = "update" if element in found else "add"


def _get(value: Any, name: str) -> Any:
    return value.get(name) if isinstance(value, dict) else None


def _key_path(path: str, key: str) -> str:
    return f"{path}.{key}" if re.fullmatch(r"[A-Za-z_$][\w$]*", key) else f"{path}[{json.dumps(key)}]"


def read_inputs(fields: tuple[Property, ...], olds: PropertyMap, live: PropertyMap) -> PropertyMap:
    """The old inputs with what is really there: only properties that were given (or had a default) count.

    Equal values keep the spelling that the program used, so that reading is never a change by itself.
    """
    rows = {row.name: row for row in fields}
    result: PropertyMap = {}
    changed = set()
    for name, old in olds.items():
        row = rows.get(name)
        if row is None or name not in live:
            result[name] = old
            continue
        value = _merge(row, old, live[name])
        if normal_property(row, value) != normal_property(row, old):
            changed.add(name)
        if value is not None:
            result[name] = value
    if DEFAULTS in olds:
        # A default that no longer holds must not be mistaken for one that was chosen before.
        result[DEFAULTS] = [name for name in olds[DEFAULTS] if name not in changed]
    return result


def _merge(row: Property, old: Any, live: Any) -> Any:
    if normal_property(row, old) == normal_property(row, live):
        return old
    match row.type:
        case Object(fields=fields) if isinstance(old, dict) and isinstance(live, dict):
            return read_inputs(fields, old, {name: live.get(name) for name in old if name != DEFAULTS})
        case TextMap() if isinstance(old, dict) and isinstance(live, dict):
            return {key: live[key] for key in old if key in live}
        case Listing(unordered=True, item=item) if isinstance(old, list) and isinstance(live, list):
            return [element for element in old if any(_covers(item, element, other) for other in live)]
    return live


def _covers(item: Type, given: Any, live: Any) -> bool:
    """Whether the live element is the given one; what was not given is the daemon's to choose."""
    if isinstance(item, Object) and isinstance(given, dict) and isinstance(live, dict):
        form, other = normal(item, given), normal(item, live)
        return all(other.get(name) == value for name, value in form.items())
    return bool(normal(item, given) == normal(item, live))


def found_inputs(fields: tuple[Property, ...], live: PropertyMap) -> PropertyMap:
    """Inputs for something that was found, not made: what differs from the defaults."""
    result: PropertyMap = {}
    for row in fields:
        value = live.get(row.name)
        if not row.output and not is_zero(value) and (row.required or value != row.default):
            result[row.name] = value
    return {**result, DEFAULTS: []}
