"""What events say was touched, and how heads are heard of."""

from __future__ import annotations

import json
import threading
import time
from typing import Any

import pytest
from websockets.sync.server import Server, ServerConnection, serve

from berth.chain.endpoint import Block, Header
from berth.chain.errors import ChainUnreachable
from berth.chain.hashing import keccak
from berth.chain.heads import Heads, backoff, websocket_url
from berth.chain.logs import Touched, touched

here = Block(7, "0x" + "ab" * 32)
ours, collection = "0x" + "11" * 20, "0x" + "22" * 20
word = "0x" + "00" * 31


def topic(signature: str) -> str:
    return "0x" + keccak(signature.encode()).hex()


def log(signature: str, *topics: str, data: str = "0x", block: str = here.hash) -> dict[str, Any]:
    return {"blockHash": block, "topics": [topic(signature), *topics], "data": data}


class Said:
    """An endpoint that answers with these logs."""

    url = "http://chain:8545"

    def __init__(self, answer: Any) -> None:
        self.answer, self.asked = answer, []  # type: ignore[var-annotated]

    def request(self, method: str, *params: Any) -> Any:
        self.asked.append((method, params))
        return self.answer


def look(*logs: Any) -> Touched:
    return touched(Said(list(logs)), [ours, collection], here)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("event", "tokens"),
    [
        (log("KeyRegistered(uint256,address,bytes32,uint32,address)", word + "05", word + "01", word + "02"), {5}),
        (log("KeyRevoked(uint256,address,bytes32,uint32)", word + "06", word + "01", word + "02"), {6}),
        (log("DelegateSet(uint256,address,address)", word + "07", word + "01", word + "02"), {7}),
        (log("Transfer(address,address,uint256)", word + "01", word + "02", word + "08"), {8}),
        (log("SubscriptionUpdate(uint256,uint64)", word + "09", data=word + "01"), {9}),
        (log("Approval(address,address,uint256)", word + "01", word + "02", word + "08"), set()),
        (log("Transfer(address,address,uint256)", data=word + "01"), set()),
        ({"blockHash": here.hash, "topics": [], "data": "0x"}, set()),
    ],
)
def test_which_pass_an_event_names(event: Any, tokens: set[int]) -> None:
    assert look(event) == Touched(frozenset(tokens))


def test_a_rental_is_looked_at_now_and_at_its_end() -> None:
    found = look(log("UpdateUser(uint256,address,uint64)", word + "05", word + "01", data=word + "64"))
    assert found == Touched(frozenset({5}), frozenset({(100, 5)}))
    endless = log("UpdateUser(uint256,address,uint64)", word + "05", word + "01", data="0x" + "ff" * 32)
    assert look(endless).later == frozenset()


def test_the_question_is_of_one_block_by_its_hash() -> None:
    said = Said([])
    touched(said, [ours, collection], here)  # type: ignore[arg-type]
    ((method, (question,)),) = said.asked
    assert method == "eth_getLogs"
    assert (question["blockHash"], question["address"]) == (here.hash, [ours, collection])


@pytest.mark.parametrize(
    "answer",
    [
        None,
        {},
        "0x",
        [None],
        ["x"],
        [{}],
        [log("Transfer(address,address,uint256)", word + "01", word + "02", "zz")],
        [log("Transfer(address,address,uint256)", word + "01", word + "02", word + "08", block="0x" + "cd" * 32)],
        [log("UpdateUser(uint256,address,uint64)", word + "05", word + "01", data="0x")],
    ],
)
def test_what_are_no_logs_of_this_block_is_refused(answer: Any) -> None:
    with pytest.raises(ChainUnreachable, match="eth_getLogs"):
        touched(Said(answer), [ours], here)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("attempt", "least", "most"), [(0, 0.25, 0.5), (1, 0.5, 1.0), (3, 2.0, 4.0), (50, 15.0, 30.0), (10_000, 15.0, 30.0)]
)
def test_waits_grow_to_an_end_and_differ(attempt: int, least: float, most: float) -> None:
    assert backoff(attempt, lambda: 0.0) == least
    assert backoff(attempt, lambda: 1.0) == most


@pytest.mark.parametrize(
    ("url", "socket"), [("http://a:1/x", "ws://a:1/x"), ("https://a", "wss://a"), ("ws://a", "ws://a")]
)
def test_where_the_subscription_is(url: str, socket: str) -> None:
    assert websocket_url(url) == socket


# ---------------------------------------------------------------- a subscription


def head(number: int) -> dict[str, str]:
    hashes = {"hash": "0x" + f"{number:064x}", "parentHash": "0x" + f"{number - 1:064x}"}
    return {"number": hex(number), "timestamp": hex(1000 + number), **hashes}


class Chain:
    """An endpoint that can be asked: its head is ``at``."""

    url = "http://127.0.0.1:1"

    def __init__(self) -> None:
        self.at = 1

    def check_chain(self) -> None:
        """It is the right one."""

    def header(self) -> Header:
        return Header.parse(head(self.at))


def listen(handler: Any) -> tuple[Server, str]:
    server = serve(handler, "127.0.0.1", 0)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server, f"ws://127.0.0.1:{server.socket.getsockname()[1]}"


def until(condition: Any, seconds: float = 10.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_heads_come_by_subscription_and_by_asking_where_it_ends() -> None:
    connections: list[ServerConnection] = []

    def talk(connection: ServerConnection) -> None:
        request = json.loads(connection.recv())
        connection.send(json.dumps({"jsonrpc": "2.0", "id": request["id"], "result": "0x1"}))
        connections.append(connection)
        for number in (2, 3):
            params = {"subscription": "0x1", "result": head(number)}
            connection.send(json.dumps({"jsonrpc": "2.0", "method": "eth_subscription", "params": params}))
        if len(connections) > 1:
            threading.Event().wait(5)

    server, url = listen(talk)
    chain, heard = Chain(), []  # type: ignore[var-annotated]
    heads = Heads(chain, url, lambda _, header, __: heard.append(header.block.number), poll=0.05, watch=60)  # type: ignore[arg-type]
    heads.start()
    try:
        until(lambda: {1, 2, 3} <= set(heard))
        chain.at = 9
        until(lambda: 9 in heard)
        until(lambda: len(connections) > 1 and heads.subscribed)
    finally:
        heads.stop()
        server.shutdown()


@pytest.mark.parametrize("answer", ["no json", "[]", '{"error": {"code": -32601}}', '{"result": null}'])
def test_where_no_subscription_is_taken_heads_are_asked_for(answer: str) -> None:
    def talk(connection: ServerConnection) -> None:
        connection.recv()
        connection.send(answer)

    server, url = listen(talk)
    heard: list[int] = []
    chain = Chain()
    heads = Heads(chain, url, lambda _, header, __: heard.append(header.block.number), poll=0.05)  # type: ignore[arg-type]
    heads.start()
    try:
        until(lambda: len(heard) > 3)
        assert not heads.subscribed
    finally:
        heads.stop()
        server.shutdown()
