"""MongoDB, Redis, Docker or the manager away: nothing lost, nothing leaked, nothing early."""

from __future__ import annotations

import json
import os
import signal
import socket
import socketserver
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from berth.leases.store import journal
from tests.integration.leases.world import Servers, World, eventually, free_port, root

pytestmark = pytest.mark.docker

docker_socket = "/var/run/docker.sock"


class Cut(socketserver.ThreadingUnixStreamServer):
    """Docker's socket behind a wire that can be cut: open connections end, new ones are refused."""

    daemon_threads = True

    def __init__(self, path: Path) -> None:
        self.whole, self.open = True, set[socket.socket]()
        super().__init__(str(path), _Passed)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @contextmanager
    def away(self) -> Iterator[None]:
        self.whole = False
        for one in list(self.open):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        try:
            yield
        finally:
            self.whole = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A cut connection is what was asked for."""


class _Passed(socketserver.BaseRequestHandler):
    server: Cut

    def handle(self) -> None:
        if not self.server.whole:
            return
        with socket.socket(socket.AF_UNIX) as behind:
            behind.connect(docker_socket)
            both = {self.request, behind}
            self.server.open |= both
            threads = [
                threading.Thread(target=_pass, args=pair) for pair in ((self.request, behind), (behind, self.request))
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.server.open -= both


def _pass(here: socket.socket, there: socket.socket) -> None:
    with suppress(OSError):
        while content := here.recv(65536):
            there.sendall(content)
    with suppress(OSError):
        there.shutdown(socket.SHUT_WR)


@pytest.fixture
def quick(servers: Servers, tmp_path: Path) -> Iterator[World]:
    made = World(servers, tmp_path, RECONCILE_SECONDS="2", WARN_SECONDS="1")
    try:
        yield made
    finally:
        made.close()


def test_docker_is_out_of_sight(quick: World, tmp_path: Path) -> None:
    cut = Cut(tmp_path / "docker.sock")
    quick.start(DOCKER_HOST=f"unix://{tmp_path / 'docker.sock'}")
    kept, ended = quick.provision("basic"), quick.provision("basic")
    with cut.away():
        eventually("it says so", lambda: quick.http.get("/health").status_code == 503, 10)
        quick.call("DELETE", f"/api/containers/{ended['id']}")
        asked = quick.call("POST", "/api/provision", json={"imageType": "basic", "durationMinutes": 5}).json()
        time.sleep(3)
        assert quick.get(kept["id"])["phase"] == "ready", "what is not known is not gone"
        assert quick.get(ended["id"])["phase"] == "deleting"
        assert quick.get(asked["id"])["phase"] in ("requested", "creating")
        assert len(quick.containers()) == 2
    eventually("what was asked for runs", lambda: bool(quick.get(asked["id"])["phase"] == "ready"), 30)
    eventually("what was ended is gone", lambda: bool(quick.get(ended["id"])["phase"] == "gone"), 30)
    assert len(quick.containers(kept["id"])) == 1
    assert len(quick.containers()) == 2
    cut.shutdown()
    cut.server_close()


@pytest.mark.slow
def test_what_fails_for_long_is_a_dead_letter_until_it_is_done(quick: World, tmp_path: Path) -> None:
    cut = Cut(tmp_path / "docker.sock")
    quick.start(DOCKER_HOST=f"unix://{tmp_path / 'docker.sock'}")
    ended = quick.provision("basic")

    def dead() -> list[str]:
        shown = quick.call("GET", "/api/leases/dead-letters", headers=quick.admin).json()
        return [one["id"] for one in shown["containers"]]

    with cut.away():
        quick.call("DELETE", f"/api/containers/{ended['id']}")
        eventually("it is a dead letter", lambda: dead() == [ended["id"]], 60)
        shown = quick.get(ended["id"])
        assert shown["failure"]["dead"]
        assert shown["failure"]["nextAt"], "removals are tried for ever"
        assert quick.call("GET", "/api/leases/overview", headers=quick.admin).json()["deadLetters"] == 1
        eventually("it is counted", lambda: "berth_lease_dead_letters 1.0" in quick.http.get("/metrics").text, 5)
    assert quick.call("POST", f"/api/leases/{ended['id']}/retry", headers=quick.admin).status_code == 200
    eventually("an operator's retry does it at once", lambda: bool(quick.get(ended["id"])["phase"] == "gone"), 3)
    assert not dead()
    refused = quick.call("POST", f"/api/leases/{ended['id']}/retry", headers=quick.admin)
    assert (refused.status_code, refused.json()["reason"]) == (409, "ending")
    cut.shutdown()
    cut.server_close()


def test_mongodb_and_redis_are_away(quick: World) -> None:
    quick.start()
    kept, over = quick.provision("basic"), quick.provision("basic")
    quick.shorten(over["id"], 6)
    eventually("the timer knows", lambda: bool(quick.get(over["id"])["remainingSeconds"] < 6), 5)
    quick.servers.mongo.pause()
    quick.servers.redis.pause()
    try:
        response = quick.call("POST", "/api/provision", json={"imageType": "basic", "durationMinutes": 5})
        assert (response.status_code, response.json()["reason"]) == (503, "unavailable")
        assert "mongodb" not in response.text.lower(), "what is behind is the operator's business"
        time.sleep(2)
        assert len(quick.containers()) == 2
    finally:
        quick.servers.mongo.unpause()
        quick.servers.redis.unpause()
    eventually("what is over is gone", lambda: not quick.containers(over["id"]), 35)
    assert quick.get(kept["id"])["status"] == "running"
    eventually("it is well", quick.is_well, 20)
    assert not [r for r in quick.records(phase={"$ne": "gone"}) if r["_id"] != kept["id"]], "nothing half-made"


def test_mongodb_is_restarted_and_redis_emptied(quick: World) -> None:
    quick.start()
    kept, over = quick.provision("basic"), quick.provision("advanced")
    quick.shorten(over["id"], 12)
    eventually("the timer knows", lambda: bool(quick.get(over["id"])["remainingSeconds"] < 12), 10)
    quick.servers.redis_client().flushall()
    quick.servers.kill_mongo()
    asked = eventually_made(quick)
    eventually("what is over is gone", lambda: not quick.containers(over["id"]), 35)
    assert quick.get(kept["id"])["status"] == "running"

    def live() -> set[str]:
        return {record["_id"] for record in quick.records(phase={"$ne": "gone"})}

    eventually("none is lost, none leaked, none removed early", lambda: live() == {kept["id"], asked}, 35)
    assert len(quick.containers()) == 2
    eventually("it is well", quick.is_well, 20)


def eventually_made(world: World) -> str:
    """The id of a lease, asked for until it can be had; refusals on the way say that it may be tried again."""
    made = list[str]()

    def ask() -> bool:
        body = {"imageType": "basic", "durationMinutes": 5}
        answer = world.call("POST", "/api/provision", json=body, params={"wait": 20})
        assert answer.status_code in (201, 503), answer.text
        made.extend([answer.json()["id"]] if answer.status_code == 201 else [])
        return bool(made)

    eventually("a lease can be had", ask, 60)
    return made[0]


@pytest.mark.slow
def test_without_redis_leases_are_as_well_as_ever(quick: World) -> None:
    quick.start(REDIS_URL=f"redis://127.0.0.1:{free_port()}/0")
    made = quick.provision("talker")
    path = f"/api/containers/{made['id']}/logs"
    eventually("lines come from Docker", lambda: len(quick.call("GET", path, params={"limit": 3}).json()["lines"]) == 3)
    assert quick.call("DELETE", f"/api/containers/{made['id']}", params={"wait": 15}).status_code == 204
    assert quick.get(made["id"])["phase"] == "gone"
    assert quick.http.get("/health").json()["status"] == "degraded"


@contextmanager
def reaper(world: World, *program: str, **more: str) -> Iterator[int]:
    port = free_port()
    environment = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(root), **world.environment, "PORT": str(port),
        "REAPER_SECONDS": "0.5", "REAPER_GRACE_SECONDS": "2", **more,
    }  # fmt: skip
    arguments = program or ("-m", "berth.leases.reaper")
    process = subprocess.Popen([sys.executable, *arguments], cwd=root, env=environment)
    try:
        eventually(
            "the reaper answers",
            lambda: httpx.get(f"http://127.0.0.1:{port}/health").status_code == 200,
            20,
            (httpx.HTTPError,),
        )
        yield port
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0


def test_the_reaper_takes_what_is_overdue_without_a_manager(quick: World) -> None:
    quick.start()
    kept, over = quick.provision("basic"), quick.provision("advanced")
    quick.stop(signal.SIGKILL)
    quick.shorten(over["id"], 8)
    ends = time.time() + 8
    with reaper(quick):
        eventually("it is gone", lambda: not quick.containers(over["id"]) and not quick.networks(), 40)
        assert time.time() - ends > 2, "the manager has its time first"
        assert len(quick.containers(kept["id"])) == 1
    quick.start()
    eventually("the record follows", lambda: bool(quick.get(over["id"])["phase"] == "gone"), 35)
    assert quick.get(kept["id"])["status"] == "running"


@pytest.mark.slow
def test_the_reaper_goes_by_the_journal_without_mongodb(quick: World, tmp_path: Path) -> None:
    quick.start()
    kept, over = quick.provision("basic"), quick.provision("basic")
    quick.stop(signal.SIGKILL)
    (entry,) = [one for one in journal.read(tmp_path).values() if one.lease == over["id"]]
    soon = {"at": time.time() + 4, "boot": entry.deadline.boot, "mark": time.clock_gettime(time.CLOCK_BOOTTIME) + 4}
    with (tmp_path / journal.file_name).open("a") as file:
        file.write(json.dumps({"lease": over["id"], "hard": entry.hard, **soon}) + "\n")
    unreachable = f"mongodb://127.0.0.1:{free_port()}/x?serverSelectionTimeoutMS=300"
    with reaper(quick, MONGODB_URI=unreachable):
        eventually("what is over is gone", lambda: not quick.containers(over["id"]), 40)
        time.sleep(2)
        assert len(quick.containers(kept["id"])) == 1, "nothing is removed early"
