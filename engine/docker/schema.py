"""Tables of properties, and the checking of a program's inputs against them.

A resource type is a tuple of :class:`Property`.  Everything here is pure.  Values follow the bridged
provider (``pulumi-docker`` over ``terraform-provider-docker``): checked objects carry ``__defaults``,
the sorted names of what was filled in, and a value that is empty or zero is one that is not given.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from engine.model import UNKNOWN, PropertyMap, contains_unknown
from engine.provider import CheckFailure

DEFAULTS = "__defaults"


@dataclass(frozen=True)
class Scalar:
    kind: Literal["string", "integer", "boolean"]


@dataclass(frozen=True)
class Listing:
    item: Type
    unordered: bool = False


@dataclass(frozen=True)
class TextMap:
    """String keys to string values."""


@dataclass(frozen=True)
class Object:
    fields: tuple[Property, ...]


Type = Scalar | Listing | TextMap | Object
STRING, INTEGER, BOOLEAN, TEXT_MAP = Scalar("string"), Scalar("integer"), Scalar("boolean"), TextMap()
STRINGS = Listing(STRING)
STRING_SET = Listing(STRING, unordered=True)


@dataclass(frozen=True)
class Property:
    """One row of a type's table.

    ``at`` is the path of the value in what the daemon shows (``HostConfig.Memory``), and in what it is
    sent; ``to`` and ``back`` convert.  A row without ``at`` is handled by the type's own code.
    ``change`` tells what a new value means; ``limit`` is changed in place, but lifted only by a
    replacement, because the daemon takes zero for "leave it".
    ``computed``: the daemon chooses a value where none is given, so giving none is never a change.
    ``same`` brings equal spellings to one form before two values are compared.
    ``unread``: the real provider does not ask the daemon for it, so its state holds only what was given.
    ``raw`` is the underlying provider's name for it, where that is not simply the same in snake case.
    """

    name: str
    type: Type
    change: Literal["replace", "update", "limit"] = "replace"
    required: bool = False
    default: Any = None
    autonamed: bool = False
    computed: bool = False
    output: bool = False
    unread: bool = False
    raw: str = ""
    at: str = ""
    to: Callable[[Any], Any] | None = None
    back: Callable[[Any], Any] | None = None
    same: Callable[[Any], Any] | None = None
    valid: Callable[[Any], str | None] | None = None


LABEL = Object((Property("label", STRING, required=True), Property("value", STRING, required=True)))
LABELS = Listing(LABEL, unordered=True)


def labels_to_map(labels: list[dict[str, str]]) -> dict[str, str]:
    return {entry["label"]: entry["value"] for entry in labels}


def labels_from_map(labels: Mapping[str, str] | None) -> list[dict[str, str]]:
    return [{"label": label, "value": value} for label, value in sorted((labels or {}).items())]


def is_zero(value: Any) -> bool:
    """Whether the value counts as not given."""
    return value is None or (value is not UNKNOWN and not value and isinstance(value, str | int | float | list | dict))


def without_defaults(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_defaults(item) for key, item in value.items() if key != DEFAULTS}
    return [without_defaults(item) for item in value] if isinstance(value, list) else value


def check(
    fields: tuple[Property, ...], urn_name: str, olds: PropertyMap, news: PropertyMap
) -> tuple[PropertyMap, list[CheckFailure]]:
    """The inputs as they will be stored (typed, with defaults and a name), and what is wrong with them."""
    failures: list[CheckFailure] = []
    inputs = _check_object(fields, news, "", failures)
    defaults = set(inputs[DEFAULTS])
    for row in fields:
        if row.autonamed and row.name not in inputs:
            kept = olds.get(row.name)
            old_defaults = olds.get(DEFAULTS)
            # Without a list of defaults every old value may serve, as in states refreshed by the Pulumi CLI.
            reusable = isinstance(kept, str) and (old_defaults is None or row.name in old_defaults)
            inputs[row.name] = kept if reusable else f"{urn_name}-{secrets.token_hex(4)[:7]}"
            defaults.add(row.name)
    inputs[DEFAULTS] = sorted(defaults)
    return inputs, failures


def _check_object(
    fields: tuple[Property, ...], news: PropertyMap, path: str, failures: list[CheckFailure]
) -> PropertyMap:
    rows = {row.name: row for row in fields}
    result: PropertyMap = {}
    for name, value in news.items():
        if name == DEFAULTS or value is None:
            continue
        row = rows.get(name)
        if row is None or row.output:
            failures.append(CheckFailure(path + name, f"'{path}{name}' is not supported by this engine's provider"))
            continue
        count = len(failures)
        result[name] = checked = _check_value(row.type, value, path + name, failures)
        if row.valid and len(failures) == count and not contains_unknown(checked):
            reason = row.valid(checked)
            if reason:
                failures.append(CheckFailure(path + name, f"'{path}{name}' {reason}"))
    defaults = []
    for row in fields:
        if row.name in result:
            continue
        if row.required and not row.autonamed:
            failures.append(CheckFailure(path + row.name, f"'{path}{row.name}' is required"))
        elif not is_zero(row.default):
            result[row.name] = row.default
            defaults.append(row.name)
    result[DEFAULTS] = sorted(defaults)
    return result


def _check_value(kind: Type, value: Any, path: str, failures: list[CheckFailure]) -> Any:
    if value is UNKNOWN:
        return value
    match kind:
        case Scalar():
            converted = _scalar(kind.kind, value)
            if converted is None:
                article = "an" if kind.kind == "integer" else "a"
                failures.append(CheckFailure(path, f"'{path}' must be {article} {kind.kind}, not {_described(value)}"))
            return converted
        case Listing():
            if isinstance(value, list):
                return [_check_value(kind.item, item, f"{path}[{i}]", failures) for i, item in enumerate(value)]
        case TextMap():
            if isinstance(value, dict):
                entries = {key: item for key, item in value.items() if item is not None and key != DEFAULTS}
                return {key: _check_value(STRING, item, f"{path}.{key}", failures) for key, item in entries.items()}
        case Object():
            if isinstance(value, dict):
                return _check_object(kind.fields, value, path + ".", failures)
    expected = "a list" if isinstance(kind, Listing) else "an object"
    failures.append(CheckFailure(path, f"'{path}' must be {expected}, not {_described(value)}"))
    return value


def _scalar(kind: str, value: Any) -> Any:
    """The value as that kind, or None.  Numbers and booleans may come as text and the other way round."""
    if kind == "boolean":
        if isinstance(value, str):
            return {"true": True, "false": False}.get(value)
        return value if isinstance(value, bool) else None
    if kind == "integer":
        if isinstance(value, bool):
            return None
        if isinstance(value, str) and re.fullmatch(r"-?\d+", value):
            return int(value)
        return int(value) if isinstance(value, int | float) and value == int(value) else None
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(Decimal(repr(value)).normalize(), "f")
    return str(value) if isinstance(value, str | int) else None


def _described(value: Any) -> str:
    names = {bool: "a boolean", int: "a number", float: "a number", str: "a string", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def matches(pattern: str, meaning: str) -> Callable[[Any], str | None]:
    """A ``valid`` for text: the pattern, and the words that say what is allowed."""
    compiled = re.compile(pattern)
    return lambda value: None if compiled.fullmatch(value) else f"must be {meaning}, not {value!r}"


def at_least(lowest: int) -> Callable[[Any], str | None]:
    return lambda value: None if value >= lowest else f"must be at least {lowest}, not {value}"
