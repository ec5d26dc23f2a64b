"""Logs as readers see them: nothing lost or doubled between cursors, whatever was lost behind."""

from __future__ import annotations

import json
import re
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from tests.integration.leases.world import Servers, World, catalogue, eventually, template

pytestmark = pytest.mark.docker

both = "i=0; while :; do i=$((i+1)); echo out $i; echo err $i >&2; sleep 0.1; done"
burst = "i=0; while [ $i -lt {n} ]; do i=$((i+1)); echo line $i; done; exec sleep infinity"


@contextmanager
def reading(world: World, lease: str, after: str = "", user: str = "", role: str = "main") -> Iterator[Any]:
    url = f"ws://127.0.0.1:{world.port}/ws/logs/{lease}?after={after}&role={role}"
    with connect(url, additional_headers={"X-Berth-User": user} if user else {}) as socket:
        yield socket


def take(socket: Any, count: int, seconds: float = 20) -> list[dict[str, Any]]:
    """So many records; fewer where it closed."""
    found: list[dict[str, Any]] = []
    ends = time.monotonic() + seconds
    while len(found) < count:
        try:
            found.append(json.loads(socket.recv(timeout=max(0.1, ends - time.monotonic()))))
        except ConnectionClosed:
            break
    return found


def numbers(records: list[dict[str, Any]]) -> list[int]:
    return [int(record["message"].split()[-1]) for record in records if record["type"] == "line"]


def in_a_row(found: list[int]) -> bool:
    return found == list(range(found[0], found[0] + len(found)))


def test_lines_as_they_are_written_and_on_from_a_cursor(world: World) -> None:
    made = world.provision("talker")
    with reading(world, made["id"]) as socket:
        first = take(socket, 8)
    assert numbers(first) == list(range(1, 9))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", first[0]["timestamp"])
    assert (first[0]["level"], first[0]["stream"], first[0]["role"]) == ("info", "stdout", "main")
    time.sleep(1)
    with reading(world, made["id"], first[-1]["cursor"]) as socket:
        second = take(socket, 8)
    assert numbers(second) == list(range(9, 17)), "neither lost nor doubled"


def test_both_streams_are_told_apart(servers: Servers, tmp_path: Path) -> None:
    world = World(servers, tmp_path, catalogue(both={"containers": {"main": template(both)}})).start()
    try:
        made = world.provision("both")
        with reading(world, made["id"]) as socket:
            found = take(socket, 20)
        assert {record["stream"]: record["level"] for record in found} == {"stdout": "info", "stderr": "error"}
        for stream, word in (("stdout", "out"), ("stderr", "err")):
            mine = [record for record in found if record["stream"] == stream]
            assert in_a_row(numbers(mine))
            assert all(record["message"].startswith(word) for record in mine), "no frame headers in the text"
    finally:
        world.close()


def test_redis_lost_everything(world: World) -> None:
    made = world.provision("talker")
    with reading(world, made["id"]) as socket:
        first = take(socket, 5)
        world.servers.redis_client().flushall()
        more = take(socket, 5)
    assert numbers(first + more) == list(range(1, 11))
    with reading(world, made["id"], first[-1]["cursor"]) as socket:
        assert numbers(take(socket, 8)) == list(range(6, 14))


@pytest.mark.parametrize("flushed", [pytest.param(False, marks=pytest.mark.slow), True])
def test_the_manager_restarted(servers: Servers, tmp_path: Path, flushed: bool) -> None:
    world = World(servers, tmp_path).start()
    try:
        made = world.provision("talker")
        with reading(world, made["id"]) as socket:
            first = take(socket, 6)
        world.stop()
        if flushed:
            servers.redis_client().flushall()
        world.start()
        with reading(world, made["id"], first[-1]["cursor"]) as socket:
            second = take(socket, 8)
        assert numbers(second) == list(range(7, 15))
        assert [record["type"] for record in second] == ["line"] * 8
    finally:
        world.close()


def test_what_is_nowhere_any_more_is_a_gap(servers: Servers, tmp_path: Path) -> None:
    limits = {"memoryMib": 32, "cpus": 1, "pids": 32, "logMib": 1}
    loud = template("echo line 0; sleep 6; " + burst.format(n=60_000), limits=limits)
    world = World(servers, tmp_path, catalogue(loud={"containers": {"main": loud}})).start()
    try:
        made = world.provision("loud")
        with reading(world, made["id"]) as socket:
            (first,) = take(socket, 1)
        # It writes more than Docker keeps (1 MiB) and nobody reads along for longer than the collector stays.
        (container,) = world.containers(made["id"])
        eventually("it wrote it all", lambda: b"line 60000" in container.logs(tail=1), 60)
        world.stop()
        servers.redis_client().flushall()
        world.start()
        with reading(world, made["id"], first["cursor"]) as socket:
            found = take(socket, 200)
        assert found[0]["type"] == "gap"
        assert in_a_row(numbers(found))
        assert numbers(found)[0] > 1000, "Docker rotated the first lines away"
    finally:
        world.close()


def test_a_page_and_what_an_ended_lease_wrote(world: World) -> None:
    made = world.provision("talker")
    eventually("some lines", lambda: len(page(world, made["id"])["lines"]) >= 6)
    first = page(world, made["id"], limit=3)
    assert numbers(first["lines"]) == [1, 2, 3]
    assert first["more"]
    assert numbers(page(world, made["id"], after=first["cursor"], limit=3)["lines"]) == [4, 5, 6]
    assert world.call("DELETE", f"/api/containers/{made['id']}", params={"wait": 10}).status_code == 204
    assert numbers(page(world, made["id"], limit=6)["lines"]) == [1, 2, 3, 4, 5, 6]
    with reading(world, made["id"]) as socket:
        found = take(socket, 10_000)
    assert found[-1]["type"] == "end"
    assert "its holder ended it" in found[-1]["message"]


@pytest.mark.parametrize("watched", [True, False])
def test_wide_lines_take_no_more_room_than_others(servers: Servers, tmp_path: Path, watched: bool) -> None:
    pad = "pad=$(head -c 8000 /dev/zero | tr '\\0' x); "
    wide = template(pad + burst.format(n=300).replace("echo line", "echo $pad"))
    world = World(servers, tmp_path, catalogue(wide={"containers": {"main": wide}})).start()
    try:
        made = world.provision("wide")
        if watched:
            with reading(world, made["id"]) as socket:
                assert numbers(take(socket, 300)) == list(range(1, 301))
        else:
            (container,) = world.containers(made["id"])
            eventually("it wrote it all", lambda: container.logs(tail=1).split()[-1] == b"300")
        assert world.call("DELETE", f"/api/containers/{made['id']}", params={"wait": 10}).status_code == 204
        (key,) = servers.redis_client().scan_iter(f"berth:{world.stack}:logs:*")
        assert 128 * 1024 < servers.redis_client().memory_usage(key) < 512 * 1024
        with reading(world, made["id"]) as socket:
            found = take(socket, 400)
        kept = [record for record in found if record["type"] == "line"]
        assert numbers(kept)[-1] == 300
        assert in_a_row(numbers(kept))
        assert [int(record["cursor"].rpartition("-")[2]) for record in kept] == numbers(kept)
    finally:
        world.close()


def page(world: World, lease: str, **params: Any) -> Any:
    response = world.call("GET", f"/api/containers/{lease}/logs", params=params)
    assert response.status_code == 200, response.text
    return response.json()


def test_a_reader_is_told_when_the_lease_ends(world: World) -> None:
    made = world.provision("talker")
    with reading(world, made["id"]) as socket:
        take(socket, 2)
        world.call("DELETE", f"/api/containers/{made['id']}")
        rest = take(socket, 1000)
    assert rest[-1]["type"] == "end"
    assert in_a_row(numbers(rest)) if numbers(rest) else True


@pytest.mark.parametrize(
    ("lease", "after", "reason"),
    [("nothing", "", "not-found"), ("{lease}", "rubbish", "malformed")],
)
def test_what_is_refused_is_told(world: World, lease: str, after: str, reason: str) -> None:
    made = world.provision("basic", user=f"u{secrets.token_hex(3)}")
    with reading(world, lease.format(lease=made["id"]), after, made["username"]) as socket:
        (told,) = take(socket, 5)
        assert (told["type"], told["reason"]) == ("error", reason)


def test_a_foreign_log_is_not_there(world: World) -> None:
    made = world.provision("talker", user="alice")
    with reading(world, made["id"], user="mallory") as socket:
        (told,) = take(socket, 5)
    assert (told["reason"], told["status"]) == ("not-found", 404)
