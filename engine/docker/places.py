"""Between a table of properties and the daemon's JSON: each row's value at its row's path."""

from __future__ import annotations

from typing import Any

from engine.docker.client import Json
from engine.docker.schema import Property, is_zero
from engine.model import PropertyMap


def place(fields: tuple[Property, ...], inputs: PropertyMap) -> Json:
    """The daemon's body: each given property at its place."""
    body: Json = {}
    for row in fields:
        value = inputs.get(row.name)
        if not row.at or row.output or is_zero(value):
            continue
        *parents, last = row.at.split(".")
        target = body
        for parent in parents:
            target = target.setdefault(parent, {})
        target[last] = row.to(value) if row.to else value
    return body


def take(fields: tuple[Property, ...], shown: Json) -> PropertyMap:
    """The properties that what the daemon shows holds."""
    result: PropertyMap = {}
    for row in fields:
        if not row.at:
            continue
        value: Any = shown
        for key in row.at.split("."):
            value = value.get(key) if isinstance(value, dict) else None
        result[row.name] = row.back(value) if row.back else value
    return result
