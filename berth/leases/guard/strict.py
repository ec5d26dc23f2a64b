"""JSON as the guard takes it: no key twice, no key that Docker would take for another, and nothing unknown.

Docker's decoder matches keys whatever their case and lets the last of doubled ones win.  Here both are refused, at
every level whose keys have a meaning.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, NoReturn

from berth.leases.guard.errors import Refused

Json = Any
Check = Callable[[Json, str], Json]
"""Takes a value and where it stands; returns what is passed on, or raises :class:`Refused`."""

_depth: Final = 16


def decode(body: bytes) -> Json:
    """The document.  Errors: :class:`Refused` for what is not JSON, too deep, or has a key twice."""
    try:
        document = json.loads(body.decode(), object_pairs_hook=_pairs, parse_constant=_constant)
    except (ValueError, RecursionError) as error:
        raise Refused("body", f"the body is not JSON: {type(error).__name__}", 400) from error
    _shallow(document, _depth)
    return document


def encode(document: Json) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()


def obj(fields: Mapping[str, Check], required: Sequence[str] = ()) -> Check:
    """An object of these keys.  A key that is not among them may only be empty, and is left out."""
    known = {key.casefold(): key for key in fields}

    def check(value: Json, where: str) -> Json:
        if not isinstance(value, dict):
            deny(where, "is not an object")
        made: dict[str, Json] = {}
        seen: set[str] = set()
        for key, given in value.items():
            folded = key.casefold()
            if folded in seen:
                deny(f"{where}.{key}", "is there twice, in different case")
            seen.add(folded)
            if known.get(folded, key) != key:
                deny(f"{where}.{key}", f"is not how {known[folded]} is written")
            if key in fields:
                if given is not None:
                    made[key] = fields[key](given, f"{where}.{key}")
            elif given not in (None, "", 0, False, [], {}):
                deny(f"{where}.{key}", "is not allowed")
        for key in required:
            if key not in made:
                deny(f"{where}.{key}", "is missing")
        return made

    return check


def mapping(key: Callable[[str], bool], value: Check, most: int = 64) -> Check:
    """An object with free keys, of which each must satisfy ``key``."""

    def check(given: Json, where: str) -> Json:
        if not isinstance(given, dict) or len(given) > most:
            deny(where, f"is not an object of at most {most} entries")
        for name in given:
            if not key(name):
                deny(where, f"has the key {name[:80]!r}, which is not allowed")
        return {name: value(inner, f"{where}.{name}") for name, inner in given.items()}

    return check


def array(element: Check, most: int = 256) -> Check:
    def check(given: Json, where: str) -> Json:
        if not isinstance(given, list) or len(given) > most:
            deny(where, f"is not a list of at most {most}")
        return [element(inner, f"{where}[{index}]") for index, inner in enumerate(given)]

    return check


def text(most: int = 4096) -> Check:
    def check(given: Json, where: str) -> Json:
        if not isinstance(given, str) or len(given) > most or "\0" in given:
            deny(where, f"is not a text of at most {most} characters")
        return given

    return check


def matching(test: Callable[[str], bool], what: str) -> Check:
    def check(given: Json, where: str) -> Json:
        if not isinstance(given, str) or not test(given):
            deny(where, f"must be {what}")
        return given

    return check


def number(least: int, most: int) -> Check:
    def check(given: Json, where: str) -> Json:
        # True is a number in Python, and not in Docker.
        if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
            deny(where, f"must be a whole number from {least} to {most}")
        return given

    return check


def boolean(given: Json, where: str) -> Json:
    if not isinstance(given, bool):
        deny(where, "must be true or false")
    return given


def only(*allowed: Json) -> Check:
    """One of these values, of the same type."""

    def check(given: Json, where: str) -> Json:
        if not any(type(given) is type(each) and given == each for each in allowed):
            deny(where, f"must be {' or '.join(map(json.dumps, allowed))}")
        return given

    return check


def either(text_check: Check, list_check: Check) -> Check:
    """Docker takes a command as a list, or as one text."""

    def check(given: Json, where: str) -> Json:
        return (text_check if isinstance(given, str) else list_check)(given, where)

    return check


def deny(where: str, what: str) -> NoReturn:
    raise Refused("body", f"{where[:200]} {what}")


def _pairs(pairs: list[tuple[str, Json]]) -> dict[str, Json]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = sorted({name for name in names if names.count(name) > 1})
        raise Refused("body", f"the key {twice[0][:80]!r} is there twice")
    return made


def _constant(name: str) -> NoReturn:
    raise ValueError(name)


def _shallow(value: Json, left: int) -> None:
    if left == 0:
        raise Refused("body", f"the body is nested more than {_depth} deep", 400)
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for each in inner:
        _shallow(each, left - 1)
