"""The gateway before a real chain, a real MongoDB, and stand-ins for nodes, access API and web page."""

from __future__ import annotations

import json
import socket
import ssl
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any

import httpx
import pytest
from docker.models.containers import Container

from components.gateway_settings import TlsSettings
from components.haproxy import Front, render
from components.parts import access_part, chain_part, mongodb_part, nodes_part, web_part
from tests.component.certificates import certificate
from tests.component.recorder import Recorder
from tests.integration.platform.lab import Lab, eventually
from tests.integration.platform.test_mongodb import Mongo, fresh_secrets

pytestmark = pytest.mark.docker

container = "docker:index/container:Container"
# What the gateway routes to: it answers with what it was asked, /health always with 200.
stand_in = """
import http.server, json
class Handler(http.server.BaseHTTPRequestHandler):
    server_version = "stand-in"
    def answer(self):
        body = json.dumps({"method": self.command, "path": self.path, "headers": dict(self.headers.items())}).encode()
        self.send_response(204 if self.path == "/ping" else 404 if self.path == "/no/such" else 200)
        self.send_header("Cache-Control", "max-age=60" if self.path.startswith("/assets/") else "no-cache")
        if self.path != "/ping":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.path != "/ping" and self.command != "HEAD":
            self.wfile.write(body)
    do_GET = do_HEAD = do_POST = do_DELETE = answer
http.server.ThreadingHTTPServer(("", 8080), Handler).serve_forever()
"""
# Requests a minute that one address may make of the API, here.
rate = 30
# And connections at once.
most = 20
front = Front("http://localhost/", api_per_minute=rate, connections=most)


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
    behind = {name: _stand_in(lab, images("service"), dev, name) for name in ("node-1", "node-2", "access", "web")}
    given = [
        chain_part("http://chain:8545", 31337),
        mongodb_part(["mongo-repl-1"], 27017),
        nodes_part(["node-1", "node-2"], 8080),
        access_part(8080),
        web_part(8080),
    ]
    gateway = lab.start(dev.named(container, "gateway"), images("gateway"), files=render(given, "dev", front))
    made = Stack(lab, gateway, {"chain": chain, "mongodb": mongo.server, **behind})
    made.expect(200, "ok", set(), 20)
    yield made
    for server in (gateway, *made.parts.values()):
        lab.remove(server)


def _stand_in(lab: Lab, image: str, dev: Recorder, name: str) -> Container:
    declared = dev.named(container, "mongo-init")
    inputs = {**declared.inputs, "hostname": name, "uploads": [], "command": ["python", "-c", stand_in]}
    return lab.start(replace(declared, name=name, inputs=inputs), image)


@pytest.mark.parametrize(
    ("part", "status", "word", "down"),
    [
        ("chain", 503, "failing", {"chain"}),
        ("mongodb", 503, "failing", {"mongodb"}),
        ("node-1", 200, "degraded", {"node-1"}),
        ("access", 200, "degraded", {"access"}),
        ("web", 200, "degraded", {"web"}),
    ],
)
def test_health_follows_each_part(stack: Stack, part: str, status: int, word: str, down: set[str]) -> None:
    stack.parts[part].pause()
    try:
        stack.expect(status, word, down)
        page = stack.get("/status").text
        assert f'<li data-part="{part}" data-state="down">' in page
        assert f'data-state="{word}"' in page
    finally:
        stack.parts[part].unpause()
    stack.expect(200, "ok", set())
    assert 'data-state="down"' not in stack.get("/status").text


def test_one_source_has_so_many_connections_and_no_more(stack: Stack) -> None:
    address = (stack.lab.address(stack.gateway), 8000)
    with ExitStack() as ending:
        held = [ending.enter_context(socket.create_connection(address, 5)) for _ in range(most)]
        eventually("all are counted", lambda: _refused(address), 5)
        # Those who have theirs are served, and the gateway's own check is as well.
        held[0].sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
        held[0].settimeout(5)
        assert held[0].recv(100).startswith(b"HTTP/1.1 200")
    eventually("they are free again", lambda: stack.get("/health").status_code == 200, 5, (httpx.HTTPError,))


def _refused(address: tuple[str, int]) -> bool:
    with socket.create_connection(address, 5) as one:
        one.settimeout(1)
        try:
            one.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return not one.recv(1)
        except ConnectionError:
            return True
        except TimeoutError:
            return False


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
        ("/status", "GET", 8080),
        ("/health", "GET", 8080),
        ("/no/such", "GET", 8000),
        ("/api/no", "GET", 8000),
        ("/api/access/config", "GET", 8000),
        ("/nodes/node-1/ping", "GET", 8000),
        ("/", "PUT", 8000),
        ("/", "GET", 8081),
    ]:
        headers = stack.get(path, port, method).headers
        for name, value in front.headers().items():
            assert headers[name] == value, (path, method)
        assert headers["cache-control"] in ("no-store", "no-cache"), path
        assert "server" not in headers
        assert "strict-transport-security" not in headers


@pytest.mark.parametrize("port", [8000, 8081])
def test_unknown_paths_and_methods_are_refused_as_such(stack: Stack, port: int) -> None:
    assert stack.get("/no/such", port).status_code == 404
    wrong = stack.get("/", port, "POST", content=b"x")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "GET, HEAD")
    assert stack.get("/", port, "HEAD").content == b""


def test_only_the_page_is_cached_by_its_own_word(stack: Stack) -> None:
    assert stack.get("/assets/x.js").headers["cache-control"] == "max-age=60"


@pytest.mark.parametrize(
    ("path", "kind"),
    [("page.css", "text/css"), ("page.js", "text/javascript"), ("icon.svg", "image/svg+xml")],
)
def test_the_status_pages_assets_are_there(stack: Stack, path: str, kind: str) -> None:
    response = stack.get(f"/status/{path}")
    assert response.status_code == 200
    assert response.headers["content-type"].startswith(kind)
    assert f'"/status/{path}"' in stack.get("/status").text


def test_paths_lead_to_their_parts(stack: Stack) -> None:
    for path, part in (("/api/access/config?a=b", "access"), ("/", "web"), ("/connect", "web"), ("/nodes", "web")):
        answer = stack.get(path)
        assert answer.json()["path"] == path
        # A Host that is no name of a part proves nothing; the log of the stand-in does.
        assert path.encode() in stack.parts[part].logs(), part
    unknown = stack.get("/api/leases")
    assert (unknown.status_code, unknown.headers["content-type"]) == (404, "application/problem+json")
    assert unknown.json()["status"] == 404
    # PUT is for the API of leases, so it passes: 501 is the stand-in's own answer, the access API's is 405.
    for method, status in (("POST", 200), ("DELETE", 200), ("PUT", 501), ("TRACE", 405)):
        assert stack.get("/api/access/x", method=method).status_code == status, method


def test_a_nodes_ping_is_all_that_is_reached_of_a_node(stack: Stack) -> None:
    ping = stack.get("/nodes/node-2/ping?x=../control/state")
    assert (ping.status_code, ping.content) == (204, b"")
    assert ping.headers["access-control-allow-origin"] == "*"
    assert b"GET /ping HTTP" in stack.parts["node-2"].logs()
    assert stack.get("/nodes/node-3/ping").status_code == 404
    for path in ("/nodes/node-2/control/state", "/nodes/node-2/metrics", "/nodes/node-2/stats"):
        assert stack.get(path).json()["path"] == path  # the web page's business, as any other path
        assert path.encode() not in stack.parts["node-2"].logs()


def test_the_gateway_alone_says_who_asks(stack: Stack) -> None:
    lies = {
        "X-Forwarded-For": "1.2.3.4",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-User": "root",
        "Forwarded": "for=1.2.3.4",
        "X-Berth-Session": "forged",
        "x-berth-node": "forged",
    }
    seen = {name.lower(): value for name, value in stack.get("/api/access/x", headers=lies).json()["headers"].items()}
    assert seen["x-forwarded-for"] == stack.lab.network_gateway
    assert seen["x-forwarded-proto"] == "http"
    assert seen["x-forwarded-host"] == seen["host"]
    assert not seen.keys() & {"x-forwarded-user", "forwarded", "x-berth-session", "x-berth-node"}


def test_a_part_that_is_away_is_said_in_its_callers_language(stack: Stack) -> None:
    for part, path, kind, words in (
        ("access", "/api/access/config", "application/problem+json", "The access API is not up"),
        ("web", "/connect", "text/html; charset=utf-8", "The web page is not up."),
    ):
        stack.parts[part].pause()
        try:
            stack.expect(200, "degraded", {part})
            answer = stack.get(path)
            assert (answer.status_code, answer.headers["content-type"]) == (503, kind)
            assert words in answer.text
            assert answer.headers["x-content-type-options"] == "nosniff"
        finally:
            stack.parts[part].unpause()
        stack.expect(200, "ok", set())


def test_who_asks_too_often_waits(stack: Stack) -> None:
    codes = [stack.get("/api/access/x").status_code for _ in range(rate + 5)]
    assert codes[-1] == 429
    assert codes.count(429) >= 5
    refused = stack.get("/api/access/x")
    assert (refused.headers["retry-after"], refused.json()["status"]) == ("60", 429)
    # What is no API goes on.
    assert stack.get("/").status_code == 200


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
    assert (entry["service"], entry["method"], entry["status"]) == ("gateway", "GET", 200)


def test_the_gateway_is_healthy_and_runs_as_nobody_special(stack: Stack) -> None:
    eventually("health", lambda: stack.lab.health(stack.gateway) == "healthy", 20)
    for process in stack.gateway.top(ps_args="-eo pid,uid,comm")["Processes"]:
        assert process[1] == "1001"
    assert stack.gateway.exec_run(["sh", "-c", "echo > /run/berth/haproxy.cfg"]).exit_code != 0


@pytest.fixture(scope="module")
def secure(lab: Lab, images: Callable[[str], str], dev: Recorder, stack: Stack) -> Iterator[Stack]:
    """A second gateway before the same parts, with a certificate."""
    pem, key = certificate("localhost")
    files = render([access_part(8080), web_part(8080)], "dev", Front("https://vpn.example.org/", tls=True))
    files["tls.pem"] = TlsSettings.model_validate({"certificate": pem, "key": key}).pem
    gateway = lab.start(dev.named(container, "gateway"), images("gateway"), files=files)
    made = Stack(lab, gateway, stack.parts)
    made.expect(200, "ok", set(), 20)
    yield made
    lab.remove(gateway)


def test_with_a_certificate_everything_leads_to_tls(secure: Stack) -> None:
    moved = secure.get("/connect?a=b", headers={"Host": "evil.example"})
    assert (moved.status_code, moved.headers["location"]) == (308, "https://vpn.example.org/connect?a=b")
    with httpx.Client(verify=False, base_url=f"https://{secure.lab.address(secure.gateway)}:8443") as client:
        answer = client.get("/api/access/x")
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        seen = {name.lower(): value for name, value in answer.json()["headers"].items()}
        assert seen["x-forwarded-proto"] == "https"


@pytest.fixture(scope="module")
def proxied(lab: Lab, images: Callable[[str], str], dev: Recorder, stack: Stack) -> Iterator[Stack]:
    """A third gateway before the same parts, behind a proxy on this host."""
    front = Front("https://vpn.example.org/", proxy=lab.network_gateway)
    files = render([access_part(8080), web_part(8080)], "dev", front)
    gateway = lab.start(dev.named(container, "gateway"), images("gateway"), files=files)
    made = Stack(lab, gateway, stack.parts)
    made.expect(200, "ok", set(), 20)
    yield made
    lab.remove(gateway)


def test_a_proxy_says_for_whom_it_asks(proxied: Stack) -> None:
    said = {"X-Forwarded-For": "203.0.113.9, 198.51.100.7", "X-Forwarded-Proto": "http"}
    seen = {name.lower(): value for name, value in proxied.get("/api/access/x", headers=said).json()["headers"].items()}
    assert (seen["x-forwarded-for"], seen["x-forwarded-proto"]) == ("198.51.100.7", "https")


def test_old_tls_is_refused(secure: Stack) -> None:
    address = secure.lab.address(secure.gateway)
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.check_hostname, old.verify_mode = False, ssl.CERT_NONE
    old.set_ciphers("ALL:@SECLEVEL=0")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        old.minimum_version = old.maximum_version = ssl.TLSVersion.TLSv1_1
    with socket.create_connection((address, 8443), 5) as connection, pytest.raises(ssl.SSLError):
        old.wrap_socket(connection)


def test_the_configuration_has_no_warning(stack: Stack) -> None:
    check = stack.gateway.exec_run(["haproxy", "-c", "-f", "/run/berth/haproxy.cfg"])
    assert check.exit_code == 0
    assert b"WARNING" not in check.output, check.output.decode()
