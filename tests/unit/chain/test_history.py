"""Which passes an account has to do with: read in ranges, kept, read again where a reorganisation may have been."""

from __future__ import annotations

import threading
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from berth.chain.endpoint import Block, Endpoint
from berth.chain.errors import AnswerTooLarge, CallFailed, ChainUnreachable
from berth.chain.hashing import keccak
from berth.chain.history import History, StillReading

alice = "0x" + "a1" * 20
collection, registry = "0x" + "cc" * 20, "0x" + "dd" * 20
key = bytes(range(32))


def topic(text: str) -> str:
    return "0x" + keccak(text.encode()).hex()


def word(value: int | str) -> str:
    return f"0x{value:064x}" if isinstance(value, int) else "0x" + value[2:].rjust(64, "0")


def transfer(token: int, block: int) -> dict[str, Any]:
    signature = topic("Transfer(address,address,uint256)")
    return log(collection, block, [signature, word(0), word(alice), word(token)])


def user(token: int, block: int) -> dict[str, Any]:
    return log(collection, block, [topic("UpdateUser(uint256,address,uint64)"), word(token), word(alice)])


def delegate(token: int, block: int) -> dict[str, Any]:
    return log(registry, block, [topic("DelegateSet(uint256,address,address)"), word(token), word(0), word(alice)])


def registered(token: int, block: int, slot: int = 5) -> dict[str, Any]:
    signature = topic("KeyRegistered(uint256,address,bytes32,uint32,address)")
    return log(registry, block, [signature, word(token), word(alice), "0x" + key.hex()], word(slot) + "00" * 32)


def log(address: str, block: int, topics: list[str], data: str = "0x") -> dict[str, Any]:
    return {"address": address, "blockNumber": hex(block), "topics": topics, "data": data}


class Chain(Endpoint):
    """Events by block, as an endpoint gives them: only those asked for, and not too many blocks at once."""

    def __init__(self, logs: list[dict[str, Any]], head: int, most: int = 10**9) -> None:
        super().__init__("http://127.0.0.1:9", 1)
        self.logs, self.head, self.most = logs, head, most
        self.ranges: list[tuple[int, int]] = []

    def block(self, at: Any = "latest") -> Block:
        return Block(self.head, "0x" + "00" * 32)

    def request(self, method: str, *params: Any) -> Any:
        (asked,) = params
        first, last = int(asked["fromBlock"], 16), int(asked["toBlock"], 16)
        if last - first + 1 > self.most:
            raise CallFailed("query returned more than 10000 results")
        if asked["address"] == collection:
            self.ranges.append((first, last))
        return [
            one
            for one in self.logs
            if one["address"] == asked["address"]
            and first <= int(one["blockNumber"], 16) <= last
            and all(
                wanted is None or one["topics"][place] in (wanted if isinstance(wanted, list) else [wanted])
                for place, wanted in enumerate(asked["topics"])
            )
        ]  # fmt: skip


def test_whatever_names_the_account_is_found() -> None:
    chain = Chain([transfer(1, 10), user(2, 11), delegate(3, 12), registered(4, 13), registered(4, 20, 9)], 50)
    found = History(chain, registry).of(alice, collection)
    assert found.tokens == {1, 2, 3}
    (binding,) = found.bindings.values()
    assert (binding.token, binding.key, binding.slot, binding.block) == (4, b64encode(key).decode(), 9, 20)


def test_what_was_read_is_not_read_again_but_for_the_newest_blocks() -> None:
    chain = Chain([transfer(1, 10)], 10_000)
    history = History(chain, registry)
    history.of(alice, collection)
    assert chain.ranges == [(0, 9999), (10_000, 10_000)]
    chain.ranges.clear()
    # A reorganisation put another transfer into a block that was read before.
    chain.head, chain.logs = 10_001, [*chain.logs, transfer(2, 9_990)]
    assert history.of(alice, collection).tokens == {1, 2}
    assert chain.ranges == [(9_937, 10_001)]


def test_ranges_shrink_to_what_the_endpoint_takes() -> None:
    chain = Chain([transfer(1, 10), transfer(2, 9_000)], 10_000, most=700)
    assert History(chain, registry, span=10_000).of(alice, collection).tokens == {1, 2}
    assert all(last - first < 700 for first, last in chain.ranges)
    assert chain.ranges[0][0] == 0
    assert [first for first, _ in chain.ranges[1:]] == [last + 1 for _, last in chain.ranges[:-1]]


def test_an_account_with_more_events_than_an_answer_holds_is_read_in_parts_and_no_other() -> None:
    class Full(Chain):
        def request(self, method: str, *params: Any) -> Any:
            found = super().request(method, *params)
            if len(found) > 3:
                raise AnswerTooLarge("more than is read")
            return found

    chain = Full([transfer(number, 100 + number) for number in range(20)], 20_000)
    history = History(chain, registry)
    assert history.of(alice, collection).tokens == set(range(20))
    chain.logs, chain.head = [], 40_000
    chain.ranges.clear()
    history.of("0x" + "00" * 19 + "07", collection)
    assert len(chain.ranges) == 5


def test_wallets_without_a_pass_drive_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("berth.chain.history.accounts_kept", 3)
    chain = Chain([transfer(1, 10)], 20_000)
    history = History(chain, registry)
    for account in (alice, *(f"0x{number:040x}" for number in range(1, 6))):
        history.of(account, collection)
    chain.ranges.clear()
    assert history.of(alice, collection).tokens == {1}
    assert chain.ranges == [(19_937, 20_000)]
    # They are remembered as well, the last of them, and whoever is given a pass is one of the others.
    chain.ranges.clear()
    history.of(f"0x{5:040x}", collection)
    assert chain.ranges == [(19_937, 20_000)]


def test_an_endpoint_that_takes_no_range_is_an_error() -> None:
    with pytest.raises(CallFailed):
        History(Chain([], 100, most=3), registry).of(alice, collection)


def test_a_long_chain_is_read_bit_by_bit() -> None:
    chain = Chain([transfer(1, 10), transfer(2, 95_000)], 100_000)
    history = History(chain, registry, span=1_000)
    with pytest.raises(StillReading, match="of 100000"):
        history.of(alice, collection, seconds=0)
    for _ in range(3):
        try:
            found = history.of(alice, collection, seconds=0.01)
        except StillReading:
            continue
        break
    assert history.of(alice, collection).tokens == {1, 2}
    starts = [first for first, _ in chain.ranges]
    assert len(starts) < 200, "it went on where it stopped"
    del found


@pytest.mark.parametrize(
    "wrong",
    [
        None,
        "logs",
        [{}],
        [{"topics": [], "data": "0x", "blockNumber": "0x1"}],
        [{"topics": [topic("Other()")], "data": "0x", "blockNumber": "0x1"}],
        [{"topics": [topic("Transfer(address,address,uint256)")], "data": "0x", "blockNumber": "0x1"}],
        [{**transfer(1, 1), "blockNumber": None}],
        [{**transfer(1, 1), "topics": [*transfer(1, 1)["topics"][:3], "0xzz"]}],
        [{**registered(1, 1), "data": "0x"}],
    ],
)
def test_an_answer_that_is_no_logs(wrong: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = Chain([], 10)
    monkeypatch.setattr(chain, "request", lambda *_: wrong)
    with pytest.raises(ChainUnreachable, match="no logs"):
        History(chain, registry).of(alice, collection)


def test_an_account_cannot_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("berth.chain.history.passes_kept", 5)
    found = History(Chain([transfer(n, 10) for n in range(20)], 20), registry).of(alice, collection)
    assert found.tokens == set(range(15, 20))


def test_whoever_brings_many_accounts_does_not_take_every_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("berth.chain.history._turn", 0.05)
    go = threading.Event()

    class Slow(Chain):
        def block(self, at: Any = "latest") -> Block:
            go.wait(10)
            return super().block(at)

    history = History(Slow([], 10), registry)
    with ThreadPoolExecutor(8) as others:
        reading = [others.submit(history.of, f"0x{number:040x}", collection) for number in range(8)]
        while history._readers._value:
            time.sleep(0.01)
        with pytest.raises(StillReading):
            history.of(alice, collection)
        go.set()
        assert all(one.result().read_to == 10 for one in reading)
    assert history.of(alice, collection).read_to == 10
