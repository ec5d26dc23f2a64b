"""The endpoint against servers that are down, slow, dripping, or no JSON-RPC at all."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from berth.chain.endpoint import Block, Endpoint, TimeLimits
from berth.chain.errors import AnswerTooLarge, BlockGone, CallFailed, ChainUnreachable, NoContract, WrongChain

quick = TimeLimits(connect=0.5, call=0.5)
address = "0x" + "11" * 20


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        call = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(call)
        with suppress(BrokenPipeError):  # the client gave up, which is what some tests are about
            self.server.answer(self, call)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests have nothing to say on stderr."""

    def send(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    daemon_threads = True
    answer: Any
    seen: list[dict[str, Any]]


@contextmanager
def serving(answer: Any) -> Iterator[Server]:
    server = Server(("127.0.0.1", 0), Handler)
    server.answer, server.seen = answer, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def endpoint_of(server: Server) -> Endpoint:
    return Endpoint(f"http://127.0.0.1:{server.server_port}", 31337, quick)


def results(**by_method: Any) -> Any:
    """A server that gives these results, or raises these JSON-RPC errors ({"code", "message"})."""

    def answer(handler: Handler, call: dict[str, Any]) -> None:
        given = by_method[call["method"]]
        kind = "error" if isinstance(given, dict) and "message" in given else "result"
        handler.send(json.dumps({"jsonrpc": "2.0", "id": call["id"], kind: given}).encode())

    return answer


def drip(handler: Handler, call: dict[str, Any]) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    for _ in range(30):
        handler.wfile.write(b" ")
        time.sleep(0.1)


def never(handler: Handler, call: dict[str, Any]) -> None:
    time.sleep(1.5)


def test_nothing_listens() -> None:
    with serving(never) as server:
        port = server.server_port
    with pytest.raises(ChainUnreachable, match=r"refused.*is the chain running"):
        Endpoint(f"http://127.0.0.1:{port}", 31337, quick).block()


@pytest.mark.parametrize("answer", [never, drip])
def test_slow_answers_are_bounded(answer: Any) -> None:
    with serving(answer) as server:
        endpoint, started = endpoint_of(server), time.monotonic()
        with pytest.raises(ChainUnreachable, match=r"within 0\.5 s"):
            endpoint.block()
        assert time.monotonic() - started < 1.4


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"<html>", 200),
        (b"", 502),
        (b"[]", 200),
        (b"{}", 200),
        (b'{"result": 1}', 500),
        (b"[" * 200_000, 200),
        (b'{"a":' * 200_000, 200),
    ],
)
def test_what_is_no_json_rpc(body: bytes, status: int) -> None:
    with serving(lambda handler, call: handler.send(body, status)) as server, pytest.raises(ChainUnreachable):
        endpoint_of(server).block()


@pytest.mark.parametrize(
    ("answers", "error"),
    [
        ({"eth_getBlockByNumber": None}, BlockGone),
        ({"eth_getBlockByNumber": {"number": "0x1", "hash": "0x12"}}, ChainUnreachable),
        ({"eth_getBlockByNumber": {"number": "one", "hash": "0x" + "12" * 32}}, ChainUnreachable),
        ({"eth_getBlockByNumber": {"number": "0x1" + "0" * 16, "hash": "0x" + "12" * 32}}, ChainUnreachable),
        ({"eth_getBlockByNumber": {"number": "0x" + "f" * 6000, "hash": "0x" + "12" * 32}}, ChainUnreachable),
        ({"eth_getBlockByNumber": {"number": "-0x1", "hash": "0x" + "12" * 32}}, ChainUnreachable),
        ({"eth_getBlockByNumber": [1]}, ChainUnreachable),
        ({"eth_getBlockByNumber": {"code": -32000, "message": "header not found"}}, BlockGone),
        ({"eth_getBlockByNumber": {"code": -32000, "message": "missing trie node 12 (path )"}}, BlockGone),
        ({"eth_getBlockByNumber": {"code": -32001, "message": "Resource not found"}}, BlockGone),
        ({"eth_getBlockByNumber": {"code": -32000, "message": "hash 0x12 is not currently canonical"}}, BlockGone),
        ({"eth_getBlockByNumber": {"code": 3, "message": "execution reverted"}}, CallFailed),
        ({"eth_getBlockByNumber": {"code": -32601, "message": "Method not found"}}, CallFailed),
    ],
)
def test_answers_that_are_no_block(answers: dict[str, Any], error: type[Exception]) -> None:
    with serving(results(**answers)) as server, pytest.raises(error):
        endpoint_of(server).block()


def test_what_is_compressed_is_not_unpacked() -> None:
    """Nothing compressed was asked for, and a little of it can unpack to more than there is memory."""
    body = gzip.compress(json.dumps({"result": {"number": "0x1", "hash": "0x" + "12" * 32}}).encode())

    def answer(handler: Handler, call: dict[str, Any]) -> None:
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    with serving(answer) as server, pytest.raises(ChainUnreachable, match="no JSON-RPC"):
        endpoint_of(server).block()


def test_an_endpoints_words_fit_a_terminal_and_a_line() -> None:
    said = {"code": 1, "message": "no\x1b[31m\nerror: another line" + "!" * 10_000}
    with serving(results(eth_getBlockByNumber=said)) as server, pytest.raises(CallFailed) as raised:
        endpoint_of(server).block()
    assert str(raised.value).isprintable()
    assert "no [31m error: another line" in str(raised.value)
    assert len(str(raised.value)) < 1000


def test_calls_name_the_block_by_hash_and_are_counted() -> None:
    block = Block(7, "0x" + "ab" * 32)
    with serving(results(eth_call="0x1234")) as server:
        endpoint = endpoint_of(server)
        assert endpoint.call(address, b"\x01", block) == b"\x12\x34"
        assert endpoint.calls == 1
        assert server.seen[0]["params"] == [
            {"to": address, "data": "0x01"},
            {"blockHash": block.hash, "requireCanonical": True},
        ]


def test_another_chain_is_named() -> None:
    with serving(results(eth_chainId="0x1")) as server, pytest.raises(WrongChain, match=r"serves chain 1.*chain 31337"):
        endpoint_of(server).check_chain()


def test_no_code_names_address_and_chain() -> None:
    with serving(results(eth_getCode="0x", eth_chainId="0x7a69")) as server:
        endpoint = endpoint_of(server)
        with pytest.raises(NoContract, match=rf"{address} on chain 31337.*the KeyRegistry"):
            endpoint.require_code(address, "the KeyRegistry")


def test_no_code_on_another_chain_is_that() -> None:
    with serving(results(eth_getCode="0x", eth_chainId="0x1")) as server, pytest.raises(WrongChain):
        endpoint_of(server).require_code(address, "the KeyRegistry")


def test_a_key_in_a_url_is_used_and_never_shown() -> None:
    with serving(results(eth_chainId="0x1", eth_getBlockByNumber=None)) as server:
        secret = "Zm9vYmFyYmF6cXV4MTIz"
        endpoint = Endpoint(f"http://me:{secret}@127.0.0.1:{server.server_port}/v3/{secret}?key={secret}", 31337, quick)
        assert endpoint.url == f"http://127.0.0.1:{server.server_port}/v3/...?..."
        for ask in (endpoint.check_chain, endpoint.block):
            with pytest.raises((WrongChain, BlockGone)) as raised:
                ask()
            assert secret not in str(raised.value)
    with pytest.raises(ChainUnreachable) as gone:
        Endpoint(f"http://127.0.0.1:{server.server_port}/{secret}", 1, quick).block()
    assert secret not in str(gone.value)


@pytest.mark.parametrize(
    "body",
    [
        (429, {"error": {"code": -32005, "message": "daily request count exceeded"}}),
        (200, {"error": {"code": -32016, "message": "over rate limit"}}),
        (200, {"error": {"code": -32005, "message": "Too Many Requests"}}),
    ],
)
def test_an_endpoint_that_is_asked_too_often_is_one_that_does_not_answer(body: tuple[int, dict[str, Any]]) -> None:
    status, text = body[0], json.dumps(body[1]).encode()
    with serving(lambda handler, call: handler.send(text, status)) as server, pytest.raises(ChainUnreachable):
        endpoint_of(server).block()


def test_an_answer_of_too_many_parts_says_so() -> None:
    answer = json.dumps({"jsonrpc": "2.0", "id": 1, "result": [{"topics": []}] * 6000}).encode()
    with serving(lambda handler, call: handler.send(answer)) as server, pytest.raises(AnswerTooLarge):
        endpoint_of(server).request("eth_getLogs", {})
