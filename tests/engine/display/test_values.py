"""Values and differences as text: exact, secret-free, fast."""

from __future__ import annotations

import time
from typing import Any

import click
import pytest

from engine.display.values import changed_keys, differences, lines, scalar, text
from engine.events import Operation, StepDone, StepStarted
from engine.model import UNKNOWN, Reference, Resource, Secret
from engine.provider import Kind


def shown(old: dict[str, Any], new: dict[str, Any]) -> str:
    return "\n".join(click.unstyle(text(line)) for line in differences(old, new, 1))


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "<null>"),
        (True, "true"),
        (3.0, "3"),
        (0.5, "0.5"),
        ('a"b\n☃', '"a\\"b\\n☃"'),
        ("x" * 300, '"' + "x" * 199 + "... (302 characters)"),
        (Secret("s3cret"), "[secret]"),
        (UNKNOWN, "[unknown]"),
        (Reference("urn:x"), "<urn:x>"),
        ({}, "{}"),
        ([], "[]"),
    ],
)
def test_one_value(value: Any, expected: str) -> None:
    assert scalar(value) == expected


def test_a_map_of_people_shows_who_comes_and_who_goes() -> None:
    old = {"entries": {str(n): {"owner": f"0x{n}", "address": f"10.0.0.{n}"} for n in (2, 9, 10)}, "digest": "a"}
    new = {"entries": {"2": {"owner": "0x2", "address": "10.0.0.2"}, "10": {"owner": "0xnew", "address": "10.0.0.10"},
                       "100": {"owner": "0x100", "address": "10.0.0.100"}}, "digest": "b"}  # fmt: skip
    assert shown(old, new) == (
        '  ~ digest: "a" => "b"\n'
        "  ~ entries: {\n"
        "      - 9: {\n"
        '          - address: "10.0.0.9"\n'
        '          - owner  : "0x9"\n'
        "        }\n"
        "      ~ 10: {\n"
        '          ~ owner: "0x10" => "0xnew"\n'
        "        }\n"
        "      + 100: {\n"
        '          + address: "10.0.0.100"\n'
        '          + owner  : "0x100"\n'
        "        }\n"
        "    }"
    )


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": 1}, {"a": 1}, ""),
        ({"a": 1}, {"a": 1.0}, ""),
        ({"a": 1}, {"a": True}, "  ~ a: 1 => true"),
        ({"a": Secret(1)}, {"a": Secret(2)}, "  ~ a: [secret] => [secret]"),
        ({"a": Secret("plain")}, {"a": "plain"}, '  ~ a: [secret] => "plain"'),
        ({"a": {"b": Secret("x")}}, {}, "  - a: {\n      - b: [secret]\n    }"),
        ({"a": "x"}, {"a": UNKNOWN}, '  ~ a: "x" => [unknown]'),
        ({"a": [1, 2]}, {"a": [1, 3, 4]}, "  ~ a: [\n      ~ [1]: 2 => 3\n      + [2]: 4\n    ]"),
        ({"a": {"b": 1}}, {"a": "x"}, '  - a: {\n      - b: 1\n    }\n  + a: "x"'),
        ({"a": {}}, {"a": {"b": 1}}, "  ~ a: {\n      + b: 1\n    }"),
        (
            {"a": "one\ntwo\nthree\n"},
            {"a": "one\n2\nthree\n"},
            "  ~ a: (text)\n        one\n      - two\n      + 2\n        three",
        ),
        ({"__provider": "a", "a": {"__defaults": [1]}}, {"__provider": "a", "a": {"__defaults": [2]}}, ""),
    ],
)
def test_differences(old: dict[str, Any], new: dict[str, Any], expected: str) -> None:
    assert shown(old, new) == expected


def test_ten_thousand_entries_are_compared_in_no_time() -> None:
    def entries(skip: int) -> dict[str, Any]:
        return {str(n): {"owner": f"0x{n}", "key": "k", "address": "a"} for n in range(10_000) if n != skip}

    began = time.perf_counter()
    assert len(shown({"entries": entries(5)}, {"entries": entries(7)}).splitlines()) == 12
    assert time.perf_counter() - began < 0.5


def test_all_of_a_value_is_aligned() -> None:
    value = {"name": "x", "labels": [{"label": "a"}]}
    assert "\n".join(click.unstyle(text(line)) for line in lines(value, " ", 1, "args")) == (
        "    args: {\n        labels: [\n            [0]: {\n"
        '                label: "a"\n            }\n        ]\n        name  : "x"\n    }'
    )


def test_the_keys_that_changed() -> None:
    old = Resource("u", "t", True, inputs={"a": 1, "b": 2, "__provider": "x"}, outputs={"c": 1})
    new = Resource("u", "t", True, inputs={"a": 2, "d": 3, "__provider": "y"}, outputs={"c": 2})

    def keys(op: Operation, old: Resource | None, **detailed: Kind) -> str:
        return changed_keys(
            StepStarted("u", op, old, new, detailed={k.replace("_", "."): v for k, v in detailed.items()})
        )

    assert keys("update", old) == "[diff: ~a,-b,+d]"
    assert keys("update", old, state_drift="update", a="update", gone="delete") == "[diff: ~a,-b,+d,-gone,~state]"
    assert keys("same", old) == ""
    assert keys("create", None) == ""
    assert changed_keys(StepDone("u", "update", old, new, 0.1, refreshed=True)) == "[diff: ~c]"
