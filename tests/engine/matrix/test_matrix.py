"""One small program per option and step: the same steps and the same final state as the real Pulumi CLI gives.

What is expected was recorded from it: ``pytest tests/engine/matrix --record`` does that anew.  The CLI is the one that
``PULUMI_CLI`` names, else the first on PATH that is not ours.
"""

from __future__ import annotations

import difflib
import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from bench.engine_noop import pulumi_cli
from tests.engine.matrix.play import play
from tests.engine.matrix.scenarios import on_docker, scenarios

expected = Path(__file__).with_name("expected")
ours = [sys.executable, "-m", "engine"]
Played = dict[str, Future[list[dict[str, Any]]]]
names = [pytest.param(name, marks=pytest.mark.docker if name in on_docker else ()) for name in scenarios]


@pytest.fixture(scope="session")
def played(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    """Every scenario that was selected, by the test's id, a few at a time: they mostly wait for processes to start."""
    recording, other = request.config.getoption("record", False), pulumi_cli()
    if not recording:
        os.environ["PYTHONPATH"] = str(Path(__file__).resolve().parents[3])
    turns = {"cli": other and [list(other), ours], "ours": other and [ours, list(other)]}
    with ThreadPoolExecutor(max_workers=4) as pool:
        futures: Played = {}
        for number, item in enumerate(item for item in request.session.items if item.path == Path(__file__)):
            parameters = item.callspec.params  # type: ignore[attr-defined]
            commands = (
                turns[parameters["first"]] if "first" in parameters else [list(other or ()) if recording else ours]
            )
            if commands and commands[0]:
                root, name = tmp_path_factory.getbasetemp() / f"played-{number}", parameters["name"]
                futures[item.nodeid] = pool.submit(play, name, scenarios[name], commands, root)
        yield futures


@pytest.mark.timeout(1200)  # it waits for those before it, too
@pytest.mark.parametrize("name", names)
def test_as_the_real_cli(name: str, played: Played, request: pytest.FixtureRequest) -> None:
    result = played[request.node.nodeid].result()
    if request.config.getoption("record", False):
        text = json.dumps(result, indent=1, sort_keys=True, ensure_ascii=False)
        (expected / f"{name}.json").write_text(text + "\n", encoding="utf-8")
    compare(name, result)


@pytest.mark.slow
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("name", names)
@pytest.mark.parametrize("first", ["cli", "ours"])
def test_in_turns_with_the_real_cli(first: str, name: str, played: Played, request: pytest.FixtureRequest) -> None:
    """State and plans of either are gone on with by the other, and neither does anything else for it."""
    if request.node.nodeid not in played:
        pytest.skip("needs Pulumi's own CLI: on PATH, or named by PULUMI_CLI")
    compare(name, played[request.node.nodeid].result())


def compare(name: str, result: list[dict[str, Any]]) -> None:
    wanted = json.loads((expected / f"{name}.json").read_text(encoding="utf-8"))
    assert [run["command"] for run in result] == [run["command"] for run in wanted], "record the expected results anew"
    found = [
        list(difflib.unified_diff(*map(_lines, pair), "expected", "actual"))
        for pair in zip(wanted, result, strict=True)
    ]
    different = [f"run {i}, {result[i]['command']}:\n" + "\n".join(lines) for i, lines in enumerate(found) if lines]
    assert not different, "\n".join(different)


def _lines(run: dict[str, Any]) -> list[str]:
    return json.dumps(run, indent=1, sort_keys=True, ensure_ascii=False).splitlines()
