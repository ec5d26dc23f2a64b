"""The connection: where it goes, and what is said when nobody is there."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from engine.docker import DockerProvider
from engine.docker.client import Client, Settings, pull_problem
from engine.provider import Call, ProviderError
from tests.engine.docker.world import BASE, VOLUME, urn


def refused(host: str) -> str:
    provider = DockerProvider()
    provider.configure({"host": host})
    started = time.monotonic()
    with pytest.raises(ProviderError) as failure:
        provider.read(Call(urn(VOLUME), "v", {"name": "v"}))
    assert time.monotonic() - started < 5
    return str(failure.value)


def test_no_socket(tmp_path: Path) -> None:
    host = f"unix://{tmp_path}/docker.sock"
    told = refused(host)
    assert f"the Docker daemon at {host} cannot be reached: no such socket" in told
    assert "systemctl start docker" in told


def test_nobody_listens() -> None:
    assert "connection refused" in refused("tcp://127.0.0.1:9")


def test_a_daemon_that_fails_is_not_an_object_that_is_gone() -> None:
    class Broken(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            found = self.path.endswith("/version")
            body = b'{"ApiVersion": "1.41", "MinAPIVersion": "1.12"}' if found else b'{"message": "the disk is gone"}'
            self.send_response(200 if found else 500)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = HTTPServer(("127.0.0.1", 0), Broken)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert "the disk is gone" in refused(f"tcp://127.0.0.1:{server.server_port}")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_nothing_is_connected_before_it_is_needed(tmp_path: Path) -> None:
    provider = DockerProvider()
    provider.configure({"host": f"unix://{tmp_path}/docker.sock"})
    assert provider.check(Call(urn(VOLUME), news={"name": "v"})).failures == []
    provider.close()


def test_where_the_daemon_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DOCKER_HOST", "tcp://somewhere:1")
    assert Settings().candidates() == ["tcp://somewhere:1"]
    assert Settings(host="unix:///x").candidates() == ["unix:///x"]
    monkeypatch.delenv("DOCKER_HOST")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    assert Settings().candidates() == ["unix:///var/run/docker.sock"]
    (tmp_path / ".docker/run").mkdir(parents=True)
    (tmp_path / ".docker/run/docker.sock").touch()
    assert Settings().candidates()[1] == f"unix://{tmp_path}/.docker/run/docker.sock"


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("dial tcp: lookup r.example: no such host", "its registry cannot be reached"),
        ("pull access denied for x, repository does not exist or may require 'docker login'", "needs a login"),
        ("manifest for x:1 not found: manifest unknown", "the registry has no such image"),
        ("something else", "could not fetch it"),
    ],
)
def test_pull_problems_in_plain_words(reason: str, told: str) -> None:
    message = pull_problem("x:1", reason)
    assert told in message
    assert "What to do" in message


def test_registry_accounts() -> None:
    provider = DockerProvider()
    with pytest.raises(ProviderError, match=r"registryAuth for r\.example needs"):
        provider.configure({"registryAuth": [{"address": "r.example"}]})
    provider.configure({"registryAuth": '[{"address": "https://r.example", "username": "u", "password": "p"}]'})


@pytest.mark.docker
def test_many_threads(daemon: Client) -> None:
    client = Client(Settings())
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: client.find(f"/images/{BASE}/json"), range(64)))
    client.close()
    assert len({shown["Id"] for shown in found if shown}) == 1
    assert None not in found
