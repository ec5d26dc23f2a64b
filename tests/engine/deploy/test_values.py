"""Values on the wire, paths and differences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.backend.codec import signature
from engine.deploy.dynamic import exception_text
from engine.deploy.goals import make_urn, seconds
from engine.deploy.paths import covers, differences, invert, keep_old, parse
from engine.deploy.values import (
    UnsupportedValue,
    from_struct,
    mark_like,
    output_signature,
    plain,
    same,
    to_struct,
)
from engine.model import UNKNOWN, Reference, Secret

leaves = st.none() | st.booleans() | st.integers(-(2**50), 2**50) | st.text(max_size=8) | st.just(UNKNOWN)
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5), inner, max_size=3)
        | inner.map(lambda value: value if isinstance(value, Secret) else Secret(value))
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=4))
def test_wire_round_trip(properties):
    assert same(from_struct(to_struct(properties)), properties)


def test_references_and_output_values():
    properties = {"a": Reference("urn:x", "id"), "b": Reference("urn:y"), "c": Reference("urn:z", UNKNOWN, "1.0")}
    assert from_struct(to_struct(properties)) == properties
    assert plain(properties) == {"a": "id", "b": "urn:y", "c": UNKNOWN}
    output = {signature: output_signature, "value": 1, "secret": True, "dependencies": ["urn:x"]}
    found: dict[str, set[str]] = {}
    assert from_struct(to_struct({"o": [output, {signature: output_signature}]}), found) == {"o": [Secret(1), UNKNOWN]}
    assert found == {"o": {"urn:x"}}


def test_numbers_without_end_stay_numbers_on_the_wire():
    assert from_struct(to_struct({"n": [float("inf"), Secret(float("-inf")), 2.0]})) == {
        "n": [float("inf"), Secret(float("-inf")), 2]
    }


def test_unsupported_values_are_named():
    asset = {signature: "c44067f5952c0a294b673a41bacd8c17", "text": "x"}
    with pytest.raises(UnsupportedValue, match=r"'files\.a\[0\]' holds an asset"):
        from_struct(to_struct({"files": {"a": [asset]}}))


def test_secrets_are_marked_as_the_model_has_them():
    model = {"a": Secret(1), "b": {"c": Secret(2), "d": 3}, "e": [Secret(4)], "gone": Secret(5)}
    marked = mark_like({"a": 1, "b": {"c": 2, "d": 3}, "e": [4], "new": 6}, model)
    assert marked == {"a": Secret(1), "b": {"c": Secret(2), "d": 3}, "e": Secret([4]), "new": 6}


def test_sameness():
    assert same({"a": [1, 2.0]}, {"a": [1.0, 2]})
    assert not same(1, True)
    assert not same(Secret(1), 1)
    assert not same(UNKNOWN, "x")
    assert same(UNKNOWN, UNKNOWN)
    assert not same({"a": None}, {})


@pytest.mark.parametrize(
    ("text", "steps"),
    [("a.b[0].c", ["a", "b", 0, "c"]), ('a["x.y"].*', ["a", "x.y", "*"]), ("a[*]", ["a", "*"]), ("__x", ["__x"])],
)
def test_parse_paths(text, steps):
    assert parse(text) == steps


def test_malformed_path():
    with pytest.raises(ValueError, match="malformed property path"):
        parse("a[")


def test_paths_cover():
    assert covers(parse("a.*"), parse("a.b.c"))
    assert covers(parse("a"), parse("a[0]"))
    assert not covers(parse("a.b"), parse("a"))


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a", {"a": 1, "c": {"x": 9, "y": 9}, "l": [8, 8]}),
        ("b", {"a": 9, "b": 2, "c": {"x": 9, "y": 9}, "l": [8, 8]}),
        ("c.x", {"a": 9, "c": {"x": 3, "y": 9}, "l": [8, 8]}),
        ("c.*", {"a": 9, "c": {"x": 3}, "l": [8, 8]}),
        ("l[0]", {"a": 9, "c": {"x": 9, "y": 9}, "l": [1, 8]}),
        ("l[*]", {"a": 9, "c": {"x": 9, "y": 9}, "l": [1, 8]}),
    ],
)
def test_ignored_paths_keep_old_values(path, expected):
    old = {"a": 1, "b": 2, "c": {"x": 3}, "l": [1]}
    new = {"a": 9, "c": {"x": 9, "y": 9}, "l": [8, 8]}
    assert keep_old(new, old, [path]) == expected


def test_differences_by_path():
    old = {"a": 1, "b": {"x": 1, "y.z": 2}, "l": [1, 2], "s": Secret("same")}
    new = {"a": 2, "b": {"x": 1}, "l": [1, 2, 3], "s": "same", "n": None}
    found = differences(old, new)
    assert found == {"a": "update", 'b["y.z"]': "delete", "l[2]": "add", "n": "add"}
    assert invert(found) == {"a": "update", 'b["y.z"]': "add", "l[2]": "delete", "n": "delete"}


def test_urns():
    stack = "urn:pulumi:dev::p::pulumi:pulumi:Stack::p-dev"
    assert make_urn("dev", "p", stack, "a:b:C", "n") == "urn:pulumi:dev::p::a:b:C::n"
    group = "urn:pulumi:dev::p::x:y:Z::g"
    assert make_urn("dev", "p", group, "a:b:C", "n::m") == "urn:pulumi:dev::p::x:y:Z$a:b:C::n::m"


def test_durations():
    assert seconds("1h2m3.5s") == 3723.5
    assert seconds("250ms") == 0.25
    with pytest.raises(ValueError, match="no duration"):
        seconds("5 minutes")


def test_text_of_a_traceback():
    def said(last: str) -> str:
        return exception_text(
            f'Traceback (most recent call last):\n  File "x.py", line 1, in f\n    f()\n    ^^^\n{last}\n'
        )

    assert said("ValueError: no\n  second line") == "ValueError: no\n  second line"
    assert said("berth.errors.ChainUnreachable: cannot reach it") == "cannot reach it"
    assert said("Exception: plain") == "plain"
    assert said("KeyError") == "KeyError"
    assert exception_text("just text") == "just text"
