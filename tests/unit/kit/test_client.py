"""What programs make of a service's answers, and of a URL that is none."""

from __future__ import annotations

import httpx
import pytest
from typer.testing import CliRunner

from berth.chain import dev
from berth.cli.__main__ import app
from berth.kit.client import ApiRefused, JsonApi, Unreachable, WrongUsage

no_urls = [
    "", "nonsense", "gateway.example", "localhost:8080", "ftp://gateway.example", "http://", "http://:80", "http://[::1",
    "http://gateway:port", "http://gateway:0", "http://gateway:65536", "http://the gateway", "http://gateway\n",
]  # fmt: skip


def api(answer: httpx.Response | Exception) -> JsonApi:
    """An API that answers so to everything."""

    def handle(request: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    made = JsonApi("http://gateway.example", "the test API", answers_within=5)
    made._http = httpx.Client(base_url=made.url, transport=httpx.MockTransport(handle))
    return made


@pytest.mark.parametrize(
    ("given", "origin"),
    [
        ("https://gateway.example", "https://gateway.example"),
        ("HTTPS://Gateway.example:443/leases?all=1", "https://gateway.example:443"),
        ("http://localhost:8080/", "http://localhost:8080"),
        ("http://[::1]:8080", "http://[::1]:8080"),
        ("http://user:password@gateway.example", "http://gateway.example"),
    ],
)
def test_of_a_url_its_origin_counts(given: str, origin: str) -> None:
    assert JsonApi(given, "the test API", answers_within=5).url == origin


@pytest.mark.parametrize("url", no_urls)
def test_what_is_no_url(url: str) -> None:
    with pytest.raises(WrongUsage, match="is not a URL"):
        JsonApi(url, "the test API", answers_within=5)


@pytest.mark.parametrize("command", [["lease", "ls"], ["connect", "--list"]], ids=["lease", "connect"])
@pytest.mark.parametrize("url", [url for url in no_urls if url])  # an empty one is none: the stack's output counts
def test_a_command_that_is_given_no_url_was_used_wrongly(command: list[str], url: str) -> None:
    environment = {"BERTH_WALLET_KEY": dev.Wallet.fresh().key if command[0] == "connect" else ""}
    done = CliRunner().invoke(app, [*command, "--url", url], env=environment, catch_exceptions=False)
    assert (done.exit_code, "is not a URL" in done.stderr) == (2, True), done.output


def test_what_is_answered() -> None:
    assert api(httpx.Response(200, json={"a": 1})).call("GET", "/") == {"a": 1}
    assert api(httpx.Response(204)).call("DELETE", "/") == {}


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (httpx.ConnectError("refused"), "does not answer"),
        (httpx.ReadTimeout(""), "does not answer .ReadTimeout."),
        (httpx.Response(200, text="<html>"), "is not the test API"),
        (httpx.Response(404, json=["a list"]), "is not the test API"),
        (httpx.Response(503, json={"detail": "no server is available"}), "example: no server is available"),
        (httpx.Response(502, json={}), "the test API is not up"),
    ],
)
def test_no_answer_of_the_service(answer: httpx.Response | Exception, told: str) -> None:
    with pytest.raises(Unreachable, match=told):
        api(answer).call("GET", "/")


@pytest.mark.parametrize(
    ("answer", "told", "reason", "wait"),
    [
        (httpx.Response(404, json={"detail": "no such", "reason": "gone"}), "no such", "gone", None),
        (httpx.Response(429, json={"title": "Slow"}, headers={"Retry-After": "7"}), "Slow", "", 7.0),
        (httpx.Response(503, json={"detail": "soon", "reason": "x"}, headers={"Retry-After": "?"}), "soon", "x", None),
        (httpx.Response(400, json={}), "without a reason", "", None),
    ],
)
def test_a_refusal(answer: httpx.Response, told: str, reason: str, wait: float | None) -> None:
    with pytest.raises(ApiRefused, match=told) as refused:
        api(answer).call("GET", "/")
    error = refused.value
    assert (error.status, error.reason, error.retry_after) == (answer.status_code, reason, wait)
