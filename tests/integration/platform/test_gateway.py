"""The gateway before a real chain, a real MongoDB and two stand-ins for nodes."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from docker.models.containers import Container

from components.haproxy import chain_part, mongodb_part, nodes_part, render, security_headers
from tests.component.recorder import Recorder
from tests.integration.platform.lab import Lab, eventually
from tests.integration.platform.test_mongodb import Mongo, fresh_secrets

pytestmark = pytest.mark.docker

container = "docker:index/container:Container"
# A node as the gateway knows it: something that answers /health with 200.
node_stand_in = """
import http.server
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""


@dataclass
class Stack:
    lab: Lab
    gateway: Container
    parts: dict[str, Container]

    def get(self, path: str = "/", port: int = 8000, method: str = "GET", **options: Any) -> httpx.Response:
        return httpx.request(method, f"http://{self.lab.address(self.gateway)}:{port}{path}", timeout=5, **options)

    def health(self) -> tuple[int, dict[str, Any]]:
        response = self.get("/health")
        return response.status_code, response.json()

    def expect(self, status: int, word: str, down: set[str], seconds: float = 15) -> None:
        """Wait until /health has this status and names exactly these checks as down."""
        seen: list[Any] = []

        def agrees() -> bool:
            code, document = self.health()
            seen[:] = [code, document]
            bad = {name for name, check in document["checks"].items() if not check["ok"]}
            return (code, document["status"], bad) == (status, word, down)

        try:
            eventually(f"/health {status} {word} with {down or 'nothing'} down", agrees, seconds, (httpx.HTTPError,))
        except AssertionError as error:
            raise AssertionError(f"{error}; last: {seen}") from None


@pytest.fixture(scope="module")
def stack(lab: Lab, images: Callable[[str], str], dev: Recorder) -> Iterator[Stack]:
    mongo = Mongo.start(lab, images, dev, fresh_secrets(), "gateway-mongo")
    assert mongo.set_up() == 0, mongo.log
    chain = lab.start(dev.named(container, "chain"), images("chain"), mount="gateway-chain")
    nodes = {name: _node(lab, images("service"), dev, name) for name in ("node-1", "node-2")}
    given = [
        chain_part("http://chain:8545", 31337),
        mongodb_part(["mongo-repl-1"], 27017),
        nodes_part(list(nodes), 8080),
    ]
    gateway = lab.start(dev.named(container, "gateway"), images("gateway"), files=render(given, "dev"))
    made = Stack(lab, gateway, {"chain": chain, "mongodb": mongo.server, **nodes})
    made.expect(200, "ok", set(), 20)
    yield made
    for server in (gateway, *made.parts.values()):
        lab.remove(server)


def _node(lab: Lab, image: str, dev: Recorder, name: str) -> Container:
    declared = dev.named(container, "mongo-init")
    inputs = {**declared.inputs, "hostname": name, "uploads": [], "command": ["python", "-c", node_stand_in]}
    return lab.start(replace(declared, name=name, inputs=inputs), image)


@pytest.mark.parametrize(
    ("part", "status", "word", "down"),
    [
        ("chain", 503, "failing", {"chain"}),
        ("mongodb", 503, "failing", {"mongodb"}),
        ("node-1", 200, "degraded", {"node-1"}),
    ],
)
def test_health_follows_each_part(stack: Stack, part: str, status: int, word: str, down: set[str]) -> None:
    stack.parts[part].pause()
    try:
        stack.expect(status, word, down)
        page = stack.get("/").text
        assert f'<li data-part="{part}" data-state="down">' in page
        assert f'data-state="{word}"' in page
    finally:
        stack.parts[part].unpause()
    stack.expect(200, "ok", set())
    assert 'data-state="down"' not in stack.get("/").text


def test_a_container_that_stops_and_starts_again_is_found_again(stack: Stack) -> None:
    stack.parts["node-1"].stop(timeout=1)
    stack.parts["node-2"].stop(timeout=1)
    stack.expect(503, "failing", {"nodes", "node-1", "node-2"})
    stack.parts["node-2"].start()
    stack.expect(200, "degraded", {"node-1"})
    stack.parts["node-1"].start()
    stack.expect(200, "ok", set())


def test_every_answer_has_the_security_headers(stack: Stack) -> None:
    for path, method, port in [
        ("/", "GET", 8000),
        ("/health", "GET", 8080),
        ("/no", "GET", 8000),
        ("/", "PUT", 8000),
        ("/", "GET", 8081),
    ]:
        headers = stack.get(path, port, method).headers
        for name, value in security_headers.items():
            assert headers[name] == value, (path, method)
        assert headers["cache-control"] == "no-store"
        assert "server" not in headers


@pytest.mark.parametrize("port", [8000, 8081])
def test_unknown_paths_and_methods_are_refused_as_such(stack: Stack, port: int) -> None:
    missing = stack.get("/no/such", port)
    assert missing.status_code == 404
    assert "There is no such page." in missing.text
    wrong = stack.get("/", port, "POST", content=b"x")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")
    assert stack.get("/", port, "HEAD").content == b""


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/page.css", "text/css"), ("/page.js", "text/javascript"), ("/icon.svg", "image/svg+xml")],
)
def test_the_pages_assets_are_there(stack: Stack, path: str, kind: str) -> None:
    response = stack.get(path)
    assert response.status_code == 200
    assert response.headers["content-type"].startswith(kind)
    assert path in stack.get("/").text


def test_members_page_is_on_its_own_port_only(stack: Stack) -> None:
    inside = stack.get("/", 8081)
    assert inside.status_code == 200
    assert "You are inside." in inside.text
    for port in (8000, 8080):
        assert "You are inside." not in stack.get("/", port).text


def test_the_log_is_json_whatever_is_asked_for(stack: Stack) -> None:
    odd = '/a"b\\c%22{}'
    # As bytes, because the client would clean it up.
    address = stack.lab.address(stack.gateway)
    with httpx.Client() as client:
        request = client.build_request("GET", f"http://{address}:8000/", headers={"Host": 'x"y'})
        request.extensions["target"] = odd.encode()
        client.send(request)
    stack.get("/logged")

    def lines() -> list[dict[str, Any]]:
        text = stack.gateway.logs(stdout=True, stderr=False).decode()
        return [json.loads(line) for line in text.splitlines() if line.startswith("{")]

    eventually("the request in the log", lambda: any(line["path"] == "/logged" for line in lines()), 5)
    entry = next(line for line in lines() if line["path"] == "/logged")
    assert (entry["service"], entry["method"], entry["status"]) == ("gateway", "GET", 404)


def test_the_gateway_is_healthy_and_runs_as_nobody_special(stack: Stack) -> None:
    eventually("health", lambda: stack.lab.health(stack.gateway) == "healthy", 20)
    for process in stack.gateway.top(ps_args="-eo pid,uid,comm")["Processes"]:
        assert process[1] == "1001"
    assert stack.gateway.exec_run(["sh", "-c", "echo > /run/berth/haproxy.cfg"]).exit_code != 0


def test_the_configuration_has_no_warning(stack: Stack) -> None:
    check = stack.gateway.exec_run(["haproxy", "-c", "-f", "/run/berth/haproxy.cfg"])
    assert check.exit_code == 0
    assert b"WARNING" not in check.output, check.output.decode()
