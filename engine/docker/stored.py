"""What a resource leaves in a state, in the bridged provider's shape, so that the real one can go on from there.

Two parts: every property of the table with the zero values that provider writes (:func:`outputs`), and
the difference between that and its own raw state (:func:`raw_difference`), from which it makes the latter.
Everything here is pure.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from engine.docker.compare import normal_property
from engine.docker.schema import Listing, Object, Property, Scalar, TextMap, Type, is_zero, without_defaults
from engine.model import UNKNOWN, PropertyMap, contains_unknown

RAW_DIFFERENCE = "__pulumi_raw_state_delta"


def outputs(
    fields: tuple[Property, ...],
    inputs: PropertyMap,
    live: PropertyMap,
    id: str,
    meta: str,
    empty: Collection[str] = (),
) -> PropertyMap:
    """Outputs: every property (null where there is none), id, metadata.

    The real provider compares a program with these: a value keeps the program's spelling where it is equal,
    and what was not given only appears where the daemon is free to choose it.  ``empty``: maps that are empty
    rather than null when they hold nothing, as in what was looked up or imported.
    """
    result: PropertyMap = {}
    for row in fields:
        given = without_defaults(inputs.get(row.name))
        value = live.get(row.name)
        equal = given is not None and normal_property(row, given) == normal_property(row, value)
        if row.name not in live or row.unread or equal:
            value = given
        elif given is None and not row.output and not row.computed and not is_zero(value):
            value = None
        result[row.name] = {} if row.name in empty and live.get(row.name) == {} else _filled(row, value)
    if not contains_unknown(result):
        result[RAW_DIFFERENCE] = {"obj": raw_difference(fields, result)}
    return {**result, "id": id, "__meta": meta}


def is_block(row: Property) -> bool:
    """Whether it is written as blocks, which are never null, unlike attributes: there may only be none of them."""
    item = row.type.item if isinstance(row.type, Listing) else row.type
    return isinstance(item, Object) and not row.computed


def _filled(row: Property, value: Any, nested: bool = False) -> Any:
    if value is UNKNOWN:
        return value
    if value is None:
        return _absent(row, nested) if row.default is None else row.default
    match row.type:
        case Listing(item=item, unordered=unordered) if isinstance(value, list):
            filled = [_element(item, entry) for entry in value]
            return sorted(filled) if unordered and isinstance(item, Scalar) and not contains_unknown(filled) else filled
        case Object() if isinstance(value, dict):
            return _element(row.type, value)
        case TextMap() if not value and not row.computed and not nested:
            return None
    return value


def _element(kind: Type, value: Any) -> Any:
    if isinstance(kind, Object) and isinstance(value, dict):
        return {row.name: _filled(row, value.get(row.name), nested=True) for row in kind.fields}
    return value


def _absent(row: Property, nested: bool) -> Any:
    """What stands for a value that nobody gave: in some places the zero value, in others null."""
    match row.type:
        case Listing():
            return [] if nested or row.computed or is_block(row) else None
        case TextMap():
            return {} if row.computed else None
        case Scalar("string"):
            return "" if nested or row.computed else None
        case Scalar("integer"):
            return 0 if row.computed and not nested else None
    return None


def raw_difference(fields: tuple[Property, ...], values: PropertyMap) -> PropertyMap:
    """How the raw state of an object differs: other names (``renamed``), and its properties' own (``ps``).

    The format is that of ``RawStateDelta`` in the Pulumi Terraform bridge: ``plu`` a list of at most one element,
    ``arr`` a list or set, ``map`` a map, ``obj`` an object; scalars and nulls do not differ.
    """
    renamed = {row.name: row.raw for row in fields if row.raw}
    differing = {row.name: found for row in fields if (found := _difference(row, values.get(row.name)))}
    return {name: part for name, part in (("renamed", renamed), ("ps", differing)) if part}


def _difference(row: Property, value: Any) -> PropertyMap:
    match row.type:
        case Object(fields=fields) if value is not None:
            return {"plu": {"i": {"obj": raw_difference(fields, value)}}}
        case Object():
            return {"plu": {"i": {}}} if is_block(row) else {}
        case TextMap() if value is not None:
            return {"map": {}}
        case Listing(item=Object(fields=fields)) if value:
            return {"arr": {"el": {str(i): {"obj": raw_difference(fields, item)} for i, item in enumerate(value)}}}
        case Listing() if value is not None:
            return {"arr": {}}
    return {}
