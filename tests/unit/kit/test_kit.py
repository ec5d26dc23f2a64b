"""What every service rests on: health, logs, problem documents, the containers' check, and stopping."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import structlog
from fastapi.testclient import TestClient
from prometheus_client import CollectorRegistry
from pydantic import SecretStr

from berth.kit import logging as kit_logging
from berth.kit.health import Check, Health
from berth.kit.problem import Problem
from berth.kit.serve import listen, make_app


def _well() -> str:
    return "fine"


def _ill() -> str:
    raise RuntimeError("broken")


@pytest.mark.parametrize(
    ("checks", "status", "live", "ready", "word"),
    [
        ([Check("a", _well)], 200, True, True, "ok"),
        ([Check("a", _well), Check("b", _ill, required=False)], 200, True, True, "degraded"),
        ([Check("a", _ill)], 503, True, False, "failing"),
        ([Check("a", _ill, live=True)], 503, False, False, "failing"),
        ([Check("a", _ill, required=False, live=True)], 503, False, True, "failing"),
        ([], 200, True, True, "ok"),
    ],
)
def test_health(checks: list[Check], status: int, live: bool, ready: bool, word: str) -> None:
    found, report = Health(checks).report()
    assert (found, report["live"], report["ready"], report["status"]) == (status, live, ready, word)


def test_health_says_what_is_wrong() -> None:
    health = Health([Check("chain", _ill), Check("disk", _well)])
    assert health.failing() == {"chain": "broken"}
    _, report = Health([Check("chain", _ill)]).report()
    assert report["checks"] == {"chain": {"ok": False, "required": True, "detail": "broken"}}


def test_one_check_is_asked_for_by_its_name() -> None:
    app = make_app("test", Health([Check("disk", _well), Check("gateway", _ill, required=False)]), CollectorRegistry())
    client = TestClient(app)
    assert client.get("/health").status_code == 200
    assert client.get("/health/disk").status_code == 200
    answer = client.get("/health/gateway")
    assert (answer.status_code, answer.json()["detail"]) == (503, "broken")
    assert client.get("/health/nothing").status_code == 404


@pytest.fixture
def log(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[Callable[[], None]], list[dict[str, Any]]]]:
    """Runs a function with logging configured and returns the lines that it logged."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level

    def lines(of: Callable[[], None]) -> list[dict[str, Any]]:
        kit_logging.configure("test", "info")
        of()
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    yield lines
    root.handlers[:], root.level = handlers, level
    structlog.reset_defaults()


def test_lines_are_json_with_the_correlation_id(log: Any) -> None:
    def emit() -> None:
        with kit_logging.correlate("req-1"):
            kit_logging.get_logger("part").info("happened", count=3)
        kit_logging.get_logger("part").debug("not shown")

    (line,) = log(emit)
    assert {k: line[k] for k in ("event", "service", "component", "count", "level", "correlation_id")} == {
        "event": "happened",
        "service": "test",
        "component": "part",
        "count": 3,
        "level": "info",
        "correlation_id": "req-1",
    }
    assert line["timestamp"].endswith("Z")


def test_library_records_look_the_same(log: Any) -> None:
    (line,) = log(lambda: logging.getLogger("some.library").warning("careful with %s", "this"))
    assert (line["event"], line["level"], line["service"]) == ("careful with this", "warning", "test")


def test_secrets_do_not_reach_the_log(log: Any) -> None:
    def emit() -> None:
        kit_logging.get_logger("part").info(
            "call",
            token="hush",
            control_token="hush",
            headers={"Authorization": "Bearer hush", "Accept": "all"},
            values=[SecretStr("hush")],
            private_key="hush",
            public_key="shown",
        )

    (line,) = log(emit)
    assert "hush" not in json.dumps(line)
    assert line["headers"]["Accept"] == "all"
    assert line["public_key"] == "shown"


def test_an_exception_is_logged_with_its_traceback(log: Any) -> None:
    def emit() -> None:
        try:
            _ill()
        except RuntimeError:
            kit_logging.get_logger("part").exception("failed")

    (line,) = log(emit)
    assert "RuntimeError: broken" in line["exception"]


def _app() -> TestClient:
    app = make_app("test", Health([]), CollectorRegistry())

    @app.get("/problem")
    def problem() -> None:
        raise Problem(409, "it moved", title="Moved", who="token 1")

    @app.get("/bug")
    def bug() -> None:
        raise RuntimeError("secret detail")

    return TestClient(app, raise_server_exceptions=False)


@pytest.mark.parametrize(
    ("path", "status", "detail"),
    [("/problem", 409, "it moved"), ("/nowhere", 404, "Not Found"), ("/bug", 500, "an unexpected error")],
)
def test_every_error_is_a_problem_document(path: str, status: int, detail: str) -> None:
    answer = _app().get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert detail in answer.json()["detail"]
    assert "secret detail" not in answer.text


def test_a_refused_method_names_all_that_the_path_has() -> None:
    app = make_app("test", Health([]), CollectorRegistry())
    app.get("/things/{thing}")(lambda thing: thing)
    app.delete("/things/{thing}")(lambda thing: thing)
    refused = TestClient(app).post("/things/1")
    assert (refused.status_code, refused.headers["allow"]) == (405, "DELETE, GET")


def test_a_problem_shows_its_further_members() -> None:
    assert _app().get("/problem").json() == {
        "type": "about:blank",
        "title": "Moved",
        "status": 409,
        "detail": "it moved",
        "who": "token 1",
    }


def check(port: int, *path: str) -> tuple[bool, str]:
    """The health check that containers of the services' image run."""
    script = Path(__file__).parents[3] / "images/service/http-healthcheck"
    done = subprocess.run([script, str(port), *path], capture_output=True, text=True, timeout=10, check=False)
    return done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("status", "well"), [(200, True), (503, False)])
def test_the_check_of_containers(status: int, well: bool) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(b"body")

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        assert check(server.server_port) == (well, f"{status} body\n")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_check_of_nothing() -> None:
    with listen(0, "127.0.0.1") as taken:
        port = taken.getsockname()[1]
    well, said = check(port)
    assert not well
    assert "refused" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_service_answers_what_it_began_and_exits_with_status_0(number: signal.Signals, tmp_path: Path) -> None:
    script = """
import sys, time
from prometheus_client import CollectorRegistry
from berth.kit import serve
from berth.kit.health import Health
serve.exit_on_signals()
app = serve.make_app("test", Health([]), CollectorRegistry())
@app.get("/slow")
def slow() -> str:
    print("began", flush=True)
    time.sleep(0.5)
    return "answered"
socket = serve.listen(0, "127.0.0.1")
print(socket.getsockname()[1], flush=True)
try:
    serve.run(app, [socket])
finally:
    print("cleaned up", flush=True)
"""
    process = subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": os.getcwd()}
    )
    assert process.stdout is not None
    try:
        port = int(process.stdout.readline())
        answers: list[tuple[bool, str]] = []
        caller = threading.Thread(target=lambda: answers.append(check(port, "/slow")))
        caller.start()
        assert process.stdout.readline() == "began\n"
        started = time.monotonic()
        process.send_signal(number)
        caller.join()
        assert process.wait(5) == 0
        assert time.monotonic() - started < 3
        assert answers == [(True, '200 "answered"\n')]
        assert process.stdout.read().endswith("cleaned up\n")
    finally:
        process.kill()
        process.stdout.close()
        process.wait()
