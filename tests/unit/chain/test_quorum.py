"""Several endpoints asked as one: who lies is outvoted, who hangs is not waited for."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from berth.chain.endpoint import Block, Endpoint, TimeLimits
from berth.chain.errors import ChainUnreachable
from berth.chain.quorum import Quorum
from tests.unit.chain.test_endpoint import Handler, serving

chain_id = 1
limits = TimeLimits(connect=1.0, call=3.0)
Chain = Callable[[str, list[Any]], Any]


def digits(number: int, fork: int = 0) -> str:
    return f"0x{number + fork:064x}"


def blocks(height: int, fork: int = 0) -> Chain:
    """A chain of this height."""

    def answer(method: str, params: list[Any]) -> Any:
        if method == "eth_chainId":
            return hex(chain_id)
        if method != "eth_getBlockByNumber":
            return hex(height)
        number = height if params[0] == "latest" else int(params[0], 16)
        if number > height:
            return None
        parent, stamp = digits(number - 1, fork), hex(1_800_000_000 + number)
        return {"number": hex(number), "hash": digits(number, fork), "parentHash": parent, "timestamp": stamp}

    return answer


def hang(method: str, params: list[Any]) -> Any:
    time.sleep(limits.call)
    return None


Make = Callable[..., Quorum]


@pytest.fixture
def quorum() -> Iterator[Make]:
    with ExitStack() as stack:

        def make(*chains: Chain, needed: int = 2) -> Quorum:
            members = []
            for chain in chains:

                def answer(handler: Handler, call: dict[str, Any], chain: Chain = chain) -> None:
                    result = chain(call["method"], call["params"])
                    with suppress(OSError):  # whoever asked has gone
                        handler.send(json.dumps({"jsonrpc": "2.0", "id": call["id"], "result": result}).encode())

                port = stack.enter_context(serving(answer)).server_address[1]
                members.append(Endpoint(f"http://127.0.0.1:{port}", chain_id, limits))
            return Quorum(members, needed)

        yield make


def test_one_that_hangs_does_not_slow_the_others_down(quorum: Make) -> None:
    chain = quorum(blocks(100), blocks(100), hang)
    started = time.monotonic()
    for _ in range(20):
        assert chain.block(7) == Block(7, digits(7))
    assert chain.header().block.number == 100
    assert time.monotonic() - started < limits.call


def test_one_that_hangs_is_not_asked_without_end(quorum: Make) -> None:
    chain = quorum(blocks(100), blocks(100), hang)
    for _ in range(20):
        chain.block(7)
    assert chain.members[2].calls <= 8


def test_the_head_is_the_newest_block_that_enough_know(quorum: Make) -> None:
    assert quorum(blocks(100), blocks(99), blocks(98)).header().block.number == 99
    assert quorum(blocks(100), blocks(98), blocks(100)).header().block.number == 100


def test_a_liar_is_outvoted_and_two_of_three_are_not_one(quorum: Make) -> None:
    assert quorum(blocks(100, fork=2**80), blocks(100), blocks(100)).block(50) == Block(50, digits(50))
    with pytest.raises(ChainUnreachable, match="no 2 of 2 endpoints agree"):
        quorum(blocks(100, fork=2**80), blocks(100)).block(50)
