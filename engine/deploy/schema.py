"""JSON schemas, as far as the settings of policies use them; the complaints are worded as the real CLI's."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any, Final

_types: Final[dict[str, Callable[[Any], bool]]] = {
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool) and value == int(value),
    "number": lambda value: isinstance(value, (int, float)) and not isinstance(value, bool),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
    "null": lambda value: value is None,
}
# keyword: the types that it is about, whether a value keeps to it, what is said when it does not
_rules: Final[dict[str, tuple[str, Callable[[Any, Any], bool], str]]] = {
    "minimum": ("number", lambda value, limit: value >= limit, "Must be greater than or equal to {0}"),
    "exclusiveMinimum": ("number", lambda value, limit: value > limit, "Must be greater than {0}"),
    "maximum": ("number", lambda value, limit: value <= limit, "Must be less than or equal to {0}"),
    "exclusiveMaximum": ("number", lambda value, limit: value < limit, "Must be less than {0}"),
    "multipleOf": ("number", lambda value, unit: value % unit == 0, "Must be a multiple of {0}"),
    "minLength": ("string", lambda v, n: len(v) >= n, "String length must be greater than or equal to {0}"),
    "maxLength": ("string", lambda v, n: len(v) <= n, "String length must be less than or equal to {0}"),
    "pattern": ("string", lambda value, pattern: bool(re.search(pattern, value)), "Does not match pattern '{0}'"),
    "minItems": ("array", lambda value, limit: len(value) >= limit, "Array must have at least {0} items"),
    "maxItems": ("array", lambda value, limit: len(value) <= limit, "Array must have at most {0} items"),
    "minProperties": ("object", lambda value, limit: len(value) >= limit, "Must have at least {0} properties"),
    "maxProperties": ("object", lambda value, limit: len(value) <= limit, "Must have at most {0} properties"),
}
_structure: Final = {"type", "enum", "const", "items", "properties", "required", "additionalProperties"}
_notes: Final = {"default", "description", "title", "examples", "format", "$schema", "$id"}


class UnsupportedSchema(Exception):
    """The schema uses a keyword that is not implemented; the message names it."""


def complaints(value: Any, schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """What is wrong with a value, each with the path of what it is about.  Raises UnsupportedSchema."""
    if unknown := schema.keys() - _structure - _notes - _rules.keys():
        raise UnsupportedSchema(f"the schema of {path or 'the settings'} uses {', '.join(sorted(unknown))}")
    at = f"{path}: " if path else ""
    wanted = schema.get("type")
    names = [wanted] if isinstance(wanted, str) else wanted or []
    if names and not any(_types[name](value) for name in names):
        # An integer has a name of its own, although it is a number too.
        given = next(name for name in ("boolean", "integer", *_types) if _types[name](value))
        yield f"{at}Invalid type. Expected: {'/'.join(names)}, given: {given}"
        return
    allowed = schema.get("enum", [schema["const"]] if "const" in schema else None)
    if allowed is not None and value not in allowed:
        told = ", ".join(json.dumps(each) for each in allowed)
        yield f"{at}{path or '(root)'} must be one of the following: {told}"
    for keyword, (kind, holds, text) in _rules.items():
        if keyword in schema and _types[kind](value) and not holds(value, schema[keyword]):
            yield at + text.format(schema[keyword])
    if isinstance(value, list) and isinstance(schema.get("items"), dict):
        for index, item in enumerate(value):
            yield from complaints(item, schema["items"], f"{path}.{index}".lstrip("."))
    if isinstance(value, dict):
        yield from _members(value, schema, path, at)


def _members(value: dict[str, Any], schema: dict[str, Any], path: str, at: str) -> Iterator[str]:
    properties, others = schema.get("properties") or {}, schema.get("additionalProperties", True)
    yield from (f"{at}{key} is required" for key in schema.get("required") or [] if key not in value)
    for key, item in sorted(value.items()):
        inner = f"{path}.{key}".lstrip(".")
        if key in properties:
            yield from complaints(item, properties[key], inner)
        elif others is False:
            yield f"{at}Additional property {key} is not allowed"
        elif isinstance(others, dict):
            yield from complaints(item, others, inner)
