"""What `make up` says at its end."""

from __future__ import annotations

import json

import pytest

from bootstrap.closing import closing
from bootstrap.shell import Outcome
from bootstrap.step import Context
from tests.unit.bootstrap.fakes import FakeShell


def test_it_says_where_and_what_next(context: Context, shell: FakeShell) -> None:
    told = json.dumps({"url": "http://localhost/", "mongodbUri": "[secret]"})
    shell.when("stack output", "--stack dev", answer=Outcome(0, told))
    assert closing(context).splitlines() == [
        "stack dev is up: http://localhost/ is its page, http://localhost/status how it is",
        "next: press Connect there with a wallet that holds a pass, or see all of it happen: make demo",
    ]
    assert not shell.did("--show-secrets")


@pytest.mark.parametrize("answer", ["", "{}", "[]", "error: no stack"])
def test_without_outputs_it_says_less(context: Context, shell: FakeShell, answer: str) -> None:
    shell.when("stack output", answer=Outcome(0, answer))
    assert closing(context) == "stack dev is up; `pulumi stack output` says where"
