"""Secrets are masked in messages, whoever wrote them."""

from __future__ import annotations

import pytest

from engine.events import Diagnostic, Finished, StepFailed, Violation
from engine.masking import masked, masker


@pytest.mark.parametrize(
    ("secrets", "text", "expected"),
    [
        (["hunter2"], "the token is hunter2, hunter2!", "the token is [secret], [secret]!"),
        (["ab", "true", "False"], "ab is true or False", "ab is true or False"),
        (["hunter", "hunter2"], "hunter2 hunter", "[secret] [secret]"),
        (['a"b\nc'], 'plain a"b\nc and {"x": "a\\"b\\nc"}', 'plain [secret] and {"x": "[secret]"}'),
        (["a.c"], "abc a.c", "abc [secret]"),
        ([], "nothing", "nothing"),
    ],
)
def test_texts(secrets: list[str], text: str, expected: str) -> None:
    assert masker(secrets)(text) == expected


def test_messages_of_events() -> None:
    mask = masker(["hunter2"])
    assert masked(Diagnostic("info", "hunter2"), mask) == Diagnostic("info", "[secret]")
    failed = masked(StepFailed("urn", "create", "no hunter2", 1.0), mask)
    assert isinstance(failed, StepFailed)
    assert failed.message == "no [secret]"
    violation = masked(Violation("urn", "p", "1", "q", "advisory", "", "hunter2"), mask)
    assert isinstance(violation, Violation)
    assert violation.message == "[secret]"
    finished = Finished({}, 1.0, False)
    assert masked(finished, mask) is finished
