"""Schemas of policies' settings; the wording is the real CLI's."""

from __future__ import annotations

from typing import Any

import pytest

from engine.deploy.schema import UnsupportedSchema, complaints


@pytest.mark.parametrize(
    ("value", "schema", "expected"),
    [
        (1, {"type": "integer"}, []),
        (1.0, {"type": "integer"}, []),
        (1.5, {"type": "integer"}, ["Invalid type. Expected: integer, given: number"]),
        (True, {"type": "number"}, ["Invalid type. Expected: number, given: boolean"]),
        ("1", {"type": ["integer", "null"]}, ["Invalid type. Expected: integer/null, given: string"]),
        (0, {"minimum": 1}, ["Must be greater than or equal to 1"]),
        (1, {"exclusiveMinimum": 1}, ["Must be greater than 1"]),
        (3, {"maximum": 2}, ["Must be less than or equal to 2"]),
        (5, {"multipleOf": 2}, ["Must be a multiple of 2"]),
        ("", {"minLength": 1}, ["String length must be greater than or equal to 1"]),
        ("abc", {"maxLength": 2}, ["String length must be less than or equal to 2"]),
        ("abc", {"pattern": "^x"}, ["Does not match pattern '^x'"]),
        ("abc", {"minimum": 7}, []),  # a rule for numbers only
        ([1], {"minItems": 2}, ["Array must have at least 2 items"]),
        ({"a": ["x", 1]}, {"properties": {"a": {"items": {"type": "integer"}}}}, ["a.0: Invalid type. "]),
        ({}, {"required": ["a"]}, ["a is required"]),
        ({"b": 1}, {"properties": {}, "additionalProperties": False}, ["Additional property b is not allowed"]),
        ({"a": {"b": 1}}, {"properties": {"a": {"required": ["c"]}}}, ["a: c is required"]),
        ({"a": 2}, {"properties": {"a": {"enum": [1, "x"]}}}, ['a: a must be one of the following: 1, "x"']),
        ({"a": 1, "z": 1}, {"additionalProperties": {"type": "string"}}, ["a: Invalid type", "z: Invalid type"]),
    ],
)
def test_complaints(value: Any, schema: dict[str, Any], expected: list[str]) -> None:
    found = list(complaints(value, schema))
    assert len(found) == len(expected)
    assert all(text.startswith(start) for text, start in zip(found, expected, strict=True))


def test_a_keyword_beyond_us_is_named() -> None:
    with pytest.raises(UnsupportedSchema, match="the schema of a uses oneOf"):
        list(complaints({"a": 1}, {"properties": {"a": {"oneOf": []}}}))
