"""One small program per option and step: the same steps and the same final state as the real Pulumi CLI gives.

What is expected was recorded from it: ``PULUMI=pulumi pytest tests/engine/matrix --record`` does that anew.
"""

from __future__ import annotations

import difflib
import json
import os
import shlex
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.engine.matrix.play import play
from tests.engine.matrix.scenarios import on_docker, scenarios

expected = Path(__file__).with_name("expected")
Played = dict[str, Future[list[dict[str, Any]]]]


@pytest.fixture(scope="session")
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Every scenario that was selected, played a few at a time: they mostly wait for processes to start."""
    command = [sys.executable, "-m", "engine"]
    if request.config.getoption("record", False):
        command = shlex.split(os.environ.get("PULUMI", "pulumi"))
    else:
        os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[3])
    mine = (item for item in request.session.items if getattr(item, "originalname", "") == "test_as_the_real_cli")
    names = [item.callspec.params["name"] for item in mine]  # type: ignore[attr-defined]
    with ThreadPoolExecutor(max_workers=4) as pool:
        root = tmp_path_factory.mktemp("matrix")
        yield {name: pool.submit(play, name, scenarios[name], command, root / name) for name in names}


@pytest.mark.timeout(600)  # it waits for those before it, too
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.docker if name in on_docker else ()) for name in scenarios]
)
def test_as_the_real_cli(name: str, played: Played, request: pytest.FixtureRequest) -> None:
    result = played[name].result()
    path = expected / f"{name}.json"
    if request.config.getoption("record", False):
        path.write_text(json.dumps(result, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8")
    wanted = json.loads(path.read_text(encoding="utf-8"))
    assert [run["command"] for run in result] == [run["command"] for run in wanted], "record the expected results anew"
    found = [
        list(difflib.unified_diff(*map(_lines, pair), "expected", "actual"))
        for pair in zip(wanted, result, strict=True)
    ]
    different = [f"run {i}, {result[i]['command']}:\n" + "\n".join(lines) for i, lines in enumerate(found) if lines]
    assert not different, "\n".join(different)


def _lines(run: dict[str, Any]) -> list[str]:
    return json.dumps(run, indent=1, sort_keys=True, ensure_ascii=False).splitlines()
