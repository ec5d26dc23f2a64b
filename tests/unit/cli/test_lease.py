"""``berth lease``: what it asks for, what it says and how it ends, against an API that answers as told."""

from __future__ import annotations

import json
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from berth.cli.__main__ import app
from berth.kit import client
from berth.leases.api.models import ContainerInfo, LogLine
from tests.stand_in import Answer, Asked, StandIn

token = "berth_token-of-alice"
identifier = "01jdm3v9k2x4q8w6e5r7t9y1u3"


def lease(**changes: Any) -> dict[str, Any]:
    """As the API shows one; held to its model."""
    shown = {
        "id": identifier, "username": "alice", "name": "shell-fox", "hostname": "shell-fox.test.localhost",
        "port": 8080, "url": "http://shell-fox.test.localhost:8080", "imageType": "shell", "scenarioType": "shell",
        "exposure": "public", "pass": None, "status": "running", "phase": "ready",
        "createdAt": "2026-11-27T06:35:00Z", "readyAt": None, "expiresAt": "2026-11-27T07:35:00Z",
        "hardLimitAt": "2026-11-28T06:35:00Z", "endedAt": None, "remainingSeconds": 3599.5, "paused": False,
        "health": None, "why": "Ends in 1 h.", "warned": False, "warm": True, "initialTokens": None,
        "failure": None, "containers": [], "resources": None, "generation": 3, "extendableSeconds": 60.0, **changes,
    }  # fmt: skip
    ContainerInfo.model_validate(shown)
    return shown


def line(number: int, **changes: Any) -> dict[str, Any]:
    stamp = f"2026-11-27T06:35:{number:02}.000000000Z"
    shown = {"type": "line", "timestamp": stamp, "level": "info", "stream": "stdout", "role": "main",
             "message": f"line {number}", "cursor": f"{number}-0-{number}", "lost": None, **changes}  # fmt: skip
    LogLine.model_validate(shown)
    return shown


class Api(StandIn):
    """``answers`` by method and path, the last of several again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.answers: dict[tuple[str, str], list[Answer]] = {}

    def on(self, method: str, path: str, *answers: Answer) -> None:
        self.answers[method, path] = list(answers)

    def answer(self, asked: Asked) -> Answer:
        found = self.answers.get((asked.method, asked.path), [(404, {"detail": "no", "reason": "not-found"})])
        return found.pop(0) if len(found) > 1 else found[0]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setattr(client, "_pause", 0.01)
    made = Api()
    made.on("GET", f"/api/containers/{identifier}", (200, lease()))
    yield made
    made.close()


def berth(api: Api, *arguments: str, environment: dict[str, str] | None = None) -> Result:
    return CliRunner().invoke(
        app,
        ["lease", *arguments, "--url", api.url],
        env={"COLUMNS": "200", **(environment or {})},
        catch_exceptions=False,
    )


def test_create_asks_for_what_was_said_and_shows_it(api: Api) -> None:
    api.on("POST", "/api/provision", (201, lease()))
    options = ("--minutes", "5", "--exposure", "vpn", "--pass", "7", "--tokens", "3", "--user", "alice")
    shown = berth(api, "create", "shell", *options)
    assert (shown.exit_code, "shell-fox" in shown.stdout, "60 min" in shown.stdout) == (0, True, True)
    (asked,) = api.asked
    assert asked.body == {
        "imageType": "shell", "durationMinutes": 5, "exposure": "vpn", "pass": "7", "initialTokens": 3,
    }  # fmt: skip
    assert asked.headers["X-Berth-User"] == "alice"
    assert float(asked.query["wait"][0]) > 0
    assert json.loads(berth(api, "create", "shell", "--json").stdout) == lease()


def test_create_takes_the_default_scenario(api: Api) -> None:
    offered = [{"name": "stack", "default": False}, {"name": "basic", "default": True}]
    api.on("GET", "/api/scenarios", (200, {"scenarios": offered}))
    api.on("POST", "/api/provision", (201, lease()))
    assert berth(api, "create", "--no-wait").exit_code == 0
    assert (api.asked[-1].body, api.asked[-1].query) == ({"imageType": "basic"}, {"wait": ["0"]})


def test_an_answer_that_is_lost_makes_no_second_lease(api: Api) -> None:
    api.on("POST", "/api/provision", None, None, (201, lease()))
    assert berth(api, "create", "shell").exit_code == 0
    keys = {asked.headers["Idempotency-Key"] for asked in api.asked}
    assert (len(api.asked), len(keys)) == (3, 1)


def test_create_waits_until_it_runs(api: Api) -> None:
    api.on("POST", "/api/provision", (201, lease(status="starting", phase="creating")))
    api.on("GET", f"/api/containers/{identifier}", (200, lease(status="starting", phase="creating")), (200, lease()))
    assert json.loads(berth(api, "create", "shell", "--json").stdout)["status"] == "running"


def test_create_that_fails_or_does_not_end_in_time(api: Api) -> None:
    told = {"step": "pull", "message": "there is no image x", "attempts": 3, "dead": True,
            "at": "2026-11-27T06:35:00Z", "nextAt": None}  # fmt: skip
    api.on("POST", "/api/provision", (201, lease(status="error", phase="gone", failure=told)))
    failed = berth(api, "create", "shell")
    assert (failed.exit_code, "there is no image x" in failed.stderr) == (1, True)
    api.on("POST", "/api/provision", (201, lease(status="starting", phase="creating")))
    late = berth(api, "create", "shell", "--timeout", "0")
    assert (late.exit_code, "does not run yet" in late.stderr) == (3, True)


def test_what_is_refused_and_what_does_not_answer(api: Api) -> None:
    full = {"detail": "you have 10 leases, which is the most: the first ends in 5 min", "reason": "user-quota-full"}
    api.on("POST", "/api/provision", (429, full))
    told = berth(api, "create", "shell")
    assert (told.exit_code, told.stderr.strip()) == (1, f"berth: {full['detail']}")
    api.on("GET", "/api/containers", (503, {"status": 503, "detail": "no server is available"}))
    assert berth(api, "ls").exit_code == 3
    api.close()
    assert berth(api, "ls").exit_code == 3


def test_who_asks(api: Api, tmp_path: Path) -> None:
    api.on("GET", "/api/containers", (200, {"containers": [], "next": None, "total": 0}))
    file = tmp_path / "token"
    file.write_text(f"{token}\n")
    warned = berth(api, "ls", "--token-file", str(file), "--user", "bob")
    assert "chmod 600" in warned.stderr
    berth(api, "ls", environment={"BERTH_LEASE_TOKEN": token})
    berth(api, "ls", environment={"BERTH_LEASE_USER": "bob"})
    berth(api, "ls")
    said = [(one.headers.get("Authorization"), one.headers.get("X-Berth-User")) for one in api.asked]
    assert said == [(f"Bearer {token}", None), (f"Bearer {token}", None), (None, "bob"), (None, None)]


def test_ls_reads_every_page(api: Api) -> None:
    used = {"cpuPercent": 3.2, "memoryBytes": 12 << 20, "memoryLimitBytes": 128 << 20, "networkRxBytes": 0,
            "networkTxBytes": 0, "pids": 1}  # fmt: skip
    first = {"containers": [lease(resources=used)], "next": identifier, "total": 2}
    paused = lease(name="echo-owl", phase="paused", status="stopped", paused=True, remainingSeconds=90)
    api.on("GET", "/api/containers", (200, first), (200, {"containers": [paused], "next": None, "total": 2}))
    shown = berth(api, "ls", "--all", "--ended")
    rows = [text.split() for text in shown.stdout.splitlines()]
    assert rows[1][:9] == ["shell-fox", "alice", "shell", "running", "60", "min", "3", "%", "12"]
    assert rows[2][:6] == ["echo-owl", "alice", "shell", "paused", "2", "min"]
    assert [asked.query.get("cursor") for asked in api.asked] == [None, [identifier]]
    assert api.asked[0].query["all"] == api.asked[0].query["ended"] == ["true"]
    api.on("GET", "/api/containers", (200, {"containers": [], "next": None, "total": 0}))
    assert berth(api, "ls").stdout == "none runs\n"


def test_a_lease_goes_by_its_name_too_and_the_one_that_runs_comes_first(api: Api) -> None:
    gone = lease(id="old", phase="gone", status="stopped")
    api.on("GET", "/api/containers", (200, {"containers": [gone, lease()], "next": None, "total": 2}))
    api.on("POST", f"/api/containers/{identifier}/extend", (200, lease(remainingSeconds=7200)))
    shown = berth(api, "extend", "shell-fox", "60")
    assert (shown.exit_code, "2 h" in shown.stdout) == (0, True)
    assert api.asked[-1].body == {"minutes": 60}
    missing = berth(api, "extend", "nothing", "60")
    assert (missing.exit_code, "there is no lease nothing" in missing.stderr) == (1, True)
    before = len(api.asked)
    odd = berth(api, "extend", "../users/me", "60")
    assert (odd.exit_code, len(api.asked)) == (2, before)


@pytest.mark.parametrize("doing", ["pause", "resume"])
def test_pausing_and_resuming(api: Api, doing: str) -> None:
    api.on("POST", f"/api/containers/{identifier}/{doing}", (200, lease()))
    assert berth(api, doing, identifier).exit_code == 0
    api.on("POST", f"/api/containers/{identifier}/{doing}", (409, {"detail": "it is ending", "reason": "ending"}))
    assert berth(api, doing, identifier).exit_code == 1


def test_open_prints_where(api: Api) -> None:
    made = {"token": "jwt", "url": "http://shell-fox.test.localhost:8080/?berth_session=jwt", "expiresAt": "x"}
    api.on("POST", f"/api/containers/{identifier}/session", (200, made))
    assert berth(api, "open", identifier).stdout == made["url"] + "\n"
    assert json.loads(berth(api, "open", identifier, "--json").stdout) == made
    api.on("GET", f"/api/containers/{identifier}", (200, lease(exposure="vpn", **{"pass": "7"})))
    tunnelled = berth(api, "open", identifier)
    assert (tunnelled.exit_code, "from the device of pass 7" in tunnelled.stderr) == (1, True)


def test_rm_ends_each_and_tells_what_is_left(api: Api) -> None:
    api.on("GET", "/api/containers/other", (200, lease(id="other", name="other")))
    api.on("DELETE", "/api/containers/other", (503, {"detail": "Docker does not answer", "reason": "unavailable"}))
    api.on("DELETE", f"/api/containers/{identifier}", (204, None))
    shown = berth(api, "rm", "other", identifier)
    assert (shown.exit_code, shown.stdout, shown.stderr) == (1, "shell-fox\n", "berth: other: Docker does not answer\n")
    done = berth(api, "rm", identifier, "--json")
    assert (done.exit_code, json.loads(done.stdout)) == (0, {"ended": ["shell-fox"]})


def test_register_keeps_the_token_for_its_owner_alone(api: Api, tmp_path: Path) -> None:
    made = {"username": "alice", "token": token, "wallet": None, "createdAt": "2026-11-27T06:35:00Z"}
    api.on("POST", "/api/users", (201, made))
    assert berth(api, "register", "alice").stdout == f"{token}\n"
    file = tmp_path / "token"
    shown = berth(api, "register", "alice", "--token-file", str(file))
    assert (file.read_text(), stat.S_IMODE(file.stat().st_mode)) == (f"{token}\n", 0o600)
    assert token not in shown.output
    before = len(api.asked)
    again = berth(api, "register", "alice", "--token-file", str(file))
    assert (again.exit_code, len(api.asked)) == (1, before)


def test_logs_so_far(api: Api) -> None:
    gap = line(7, type="gap", stream="berth", message="4 lines are gone", lost=4)
    path = f"/api/containers/{identifier}/logs"
    pages = [
        (200, {"lines": [line(1), line(2, level="error", stream="stderr")], "cursor": "2-0-2", "more": True}),
        (200, {"lines": [gap, line(8)], "cursor": "8-0-8", "more": False}),
    ]
    api.on("GET", path, *pages)
    shown = berth(api, "logs", identifier, "--after", "0-0-0", "--role", "db")
    assert (shown.stdout, shown.stderr) == ("line 1\nline 8\n", "line 2\nberth: gap: 4 lines are gone\n")
    assert [one.query["after"] for one in api.asked if one.path == path] == [["0-0-0"], ["2-0-2"]]
    assert api.asked[-1].query["role"] == ["db"]
    api.on("GET", path, pages[1])
    assert [json.loads(text) for text in berth(api, "logs", identifier, "--json").stdout.splitlines()] == [gap, line(8)]
    timed = berth(api, "logs", identifier, "--timestamps").stdout
    assert timed == "2026-11-27T06:35:08.000000Z line 8\n"
