"""Reading the list from endpoints that answer well, and from such as lie: a list comes whole or not at all."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from ipaddress import IPv4Network
from typing import Any

import pytest
from eth_abi.abi import decode, encode
from hypothesis import given
from hypothesis import strategies as st

from berth.access import read
from berth.access.errors import (
    BlockGone,
    CallFailed,
    ChainError,
    ChainUnreachable,
    InconsistentList,
    NoContract,
    OlderBlock,
    WrongChain,
)
from berth.access.model import Block, digest_of
from berth.access.read import read_access_list
from berth.access.tunnel import slots
from berth.chain.endpoint import Endpoint
from berth.chain.hashing import keccak

subnet = IPv4Network("10.77.0.0/16")
registry = "0x" + "11" * 20
chain = 31337
head = Block(42, "0x" + "ab" * 32)
rows_type = "(uint256,address,bytes32,uint32,uint64)[]"


@dataclass(frozen=True)
class Row:
    """What the registry holds in one row; a row without token is a resting slot."""

    token: int
    slot: int
    key: bytes

    def encoded(self) -> tuple[int, str, bytes, int, int]:
        return self.token, f"0x{self.token % 2**160:040x}", self.key, self.slot, 0


@dataclass(frozen=True)
class Page:
    """One answer, before it is sealed with its checksum."""

    rows: list[Row]
    next: int
    total: int
    chain_id: int = chain

    def data(self) -> bytes:
        rows = [row.encoded() for row in self.rows]
        checksum = keccak(encode([rows_type], [rows]))
        values = [rows, self.next, self.total, checksum, self.chain_id]
        return encode([rows_type, "uint256", "uint256", "bytes32", "uint256"], values)


@dataclass
class Registry(Endpoint):
    """An endpoint that has one block and one registry; ``lie`` changes a page before, ``tamper`` after sealing."""

    rows: list[Row]
    lie: Callable[[int, Page], Page] = lambda cursor, page: page
    tamper: Callable[[int, bytes], bytes] = lambda cursor, data: data
    gas: int = 1000  # rows that one call can look at
    log: list[tuple[str, Any]] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__("http://fake", chain)

    def request(self, method: str, *params: Any) -> Any:
        self.log.append((method, params))
        match method:
            case "eth_getBlockByNumber":
                return {"number": hex(head.number), "hash": head.hash}
            case "eth_chainId":
                return hex(chain)
            case "eth_getCode":
                return "0x"
            case "eth_call":
                assert params[1]["blockHash"] == head.hash, "every page must be of the block that was chosen"
                return "0x" + self._page(bytes.fromhex(params[0]["data"][10:])).hex()
            case _:
                raise AssertionError(f"{method} is not needed to read a list")

    def _page(self, arguments: bytes) -> bytes:
        cursor, limit = decode(["uint256", "uint256"], arguments)
        following = min(cursor + limit, len(self.rows))
        if following - cursor > self.gas:
            raise CallFailed("out of gas", -32000)
        counting = [row for row in self.rows[cursor:following] if row.token]
        page = self.lie(cursor, Page(counting, following, len(self.rows)))
        return self.tamper(cursor, page.data())

    @property
    def pages(self) -> int:
        return sum(method == "eth_call" for method, _ in self.log)


def passes(count: int) -> list[Row]:
    """Tokens count down while slots count up: the order of the list is not the order of the rows."""
    return [Row(10_000 - n, n + 1, sha256(b"%d" % n).digest()) for n in range(count)]


def test_an_empty_registry_is_an_empty_list() -> None:
    endpoint = Registry([])
    access = read_access_list(endpoint, registry, subnet)
    assert (access.entries, access.block) == ((), head)
    assert [method for method, _ in endpoint.log] == ["eth_getBlockByNumber", "eth_call"]


@pytest.mark.parametrize(("count", "calls"), [(1, 2), (1000, 2), (1001, 3), (2500, 4)])
def test_calls(count: int, calls: int) -> None:
    endpoint = Registry(passes(count))
    access = read_access_list(endpoint, registry, subnet)
    assert len(access.entries) == count
    assert len(endpoint.log) == calls
    assert [entry.token for entry in access.entries] == sorted(entry.token for entry in access.entries)
    assert access.by_token[10_000].address == "10.77.0.2"


def test_a_given_block_is_not_asked_for() -> None:
    endpoint = Registry(passes(3))
    read_access_list(endpoint, registry, subnet, head)
    assert [method for method, _ in endpoint.log] == ["eth_call"]


@given(st.lists(st.booleans(), max_size=40), st.integers(1, 50), st.integers(1, 50))
def test_however_it_is_paged_the_list_is_the_same(resting: list[bool], rows: int, gas: int) -> None:
    held = [replace(row, token=0) if rest else row for row, rest in zip(passes(len(resting)), resting, strict=True)]
    access = read_access_list(Registry(held, gas=gas), registry, subnet, rows=rows)
    assert access == read_access_list(Registry(held), registry, subnet)
    assert len(access.entries) == resting.count(False)


def test_a_page_without_enough_gas_is_halved() -> None:
    endpoint = Registry(passes(1000), gas=300)
    assert len(read_access_list(endpoint, registry, subnet).entries) == 1000
    assert endpoint.pages == 2 + 4  # 1000 and 500 fail, then four of 250


def test_a_row_that_nobody_can_read_fails_the_read() -> None:
    with pytest.raises(CallFailed, match=r"row 0 of the registry .* out of gas"):
        read_access_list(Registry(passes(3), gas=0), registry, subnet)


def first(change: Callable[[Page], Page]) -> Callable[[int, Page], Page]:
    return lambda cursor, page: change(page) if cursor == 0 else page


def second(change: Callable[[Page], Page]) -> Callable[[int, Page], Page]:
    return lambda cursor, page: change(page) if cursor else page


lies: dict[str, tuple[Callable[[int, Page], Page], type[ChainError], str]] = {
    "other chain": (first(lambda p: replace(p, chain_id=1)), WrongChain, "serves chain 1"),
    "other chain on a later page": (second(lambda p: replace(p, chain_id=1)), WrongChain, "serves chain 1"),
    "repeated cursor": (first(lambda p: replace(p, next=0)), InconsistentList, "the next is 0"),
    "cursor goes back": (second(lambda p: replace(p, next=1)), InconsistentList, "the next is 1"),
    "cursor skips rows": (first(lambda p: replace(p, next=15)), InconsistentList, "the next is 15"),
    "total shrinks": (second(lambda p: replace(p, total=15)), InconsistentList, "20 rows on one page, 15 on the next"),
    "total grows": (second(lambda p: replace(p, total=25)), InconsistentList, "20 rows on one page, 25 on the next"),
    "more peers than rows": (
        first(lambda p: replace(p, rows=p.rows + passes(11)[-1:])),
        InconsistentList,
        "slot 11 .* does not belong",
    ),
    "rows out of order": (first(lambda p: replace(p, rows=p.rows[::-1])), InconsistentList, "does not belong"),
    "duplicate slot": (
        first(lambda p: replace(p, rows=[p.rows[0], replace(p.rows[1], slot=1)])),
        InconsistentList,
        "slot 1 .* does not belong after slot 1",
    ),
    "slot of another page": (
        second(lambda p: replace(p, rows=[replace(p.rows[0], slot=1)])),
        InconsistentList,
        "slot 1 .* does not belong",
    ),
    "slot zero": (first(lambda p: replace(p, rows=[replace(p.rows[0], slot=0)])), InconsistentList, "slot 0"),
    "duplicate key": (
        second(lambda p: replace(p, rows=[replace(p.rows[0], key=passes(1)[0].key)])),
        InconsistentList,
        "have the same key",
    ),
    "duplicate token": (
        second(lambda p: replace(p, rows=[replace(p.rows[0], token=10_000)])),
        InconsistentList,
        "stands twice",
    ),
    "zero key": (first(lambda p: replace(p, rows=[replace(p.rows[0], key=bytes(32))])), InconsistentList, "zero key"),
}


@pytest.mark.parametrize("name", lies)
def test_lies_are_found_out(name: str) -> None:
    lie, error, message = lies[name]
    with pytest.raises(error, match=message):
        read_access_list(Registry(passes(20), lie=lie), registry, subnet, rows=10)


def drop_last_row(cursor: int, data: bytes) -> bytes:
    rows = int.from_bytes(data[160:192], "big")
    return data[:160] + (rows - 1).to_bytes(32, "big") + data[192:-160]


def swap_keys(cursor: int, data: bytes) -> bytes:
    one, two = slice(192 + 64, 192 + 96), slice(352 + 64, 352 + 96)
    changed = bytearray(data)
    changed[one], changed[two] = data[two], data[one]
    return bytes(changed)


tampering: dict[str, Callable[[int, bytes], bytes]] = {
    "dropped row": drop_last_row,
    "truncated in a row": lambda cursor, data: data[:-7],
    "truncated at a row": lambda cursor, data: data[:-160],
    "truncated in the head": lambda cursor, data: data[:100],
    "only the head": lambda cursor, data: data[:160],
    "bytes after the end": lambda cursor, data: data + bytes(32),
    "no rows": lambda cursor, data: data[:160] + bytes(32),
    "keys swapped": swap_keys,
    "one bit": lambda cursor, data: data[:-1] + bytes([data[-1] ^ 1]),
    "huge count": lambda cursor, data: data[:160] + b"\xff" * 32 + data[192:],
}


@pytest.mark.parametrize("name", tampering)
@pytest.mark.parametrize("page", [0, 10])
def test_tampering_is_found_out(name: str, page: int) -> None:
    def tamper(cursor: int, data: bytes) -> bytes:
        return tampering[name](cursor, data) if cursor == page else data

    with pytest.raises(InconsistentList, match=r"rows from \d+ at block 42"):
        read_access_list(Registry(passes(20), tamper=tamper), registry, subnet, rows=10)


@given(st.data())
def test_any_flipped_bit_is_found_out(data: st.DataObject) -> None:
    """Wherever it is: nothing but the true list comes out, or an error that is ours."""

    def flip(cursor: int, sealed: bytes) -> bytes:
        changed = bytearray(sealed)
        changed[data.draw(st.integers(0, len(sealed) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        return bytes(changed)

    with pytest.raises(ChainError):
        read_access_list(Registry(passes(3), tamper=flip), registry, subnet)


def test_wide_values_are_found_out() -> None:
    """A row whose address is wider than an address, sealed with a checksum that fits."""

    def widen(cursor: int, data: bytes) -> bytes:
        rows = bytearray(data[160:])
        rows[32 + 32] = 1
        checksum = keccak((32).to_bytes(32, "big") + bytes(rows))
        return data[:96] + checksum + data[128:160] + bytes(rows)

    with pytest.raises(InconsistentList, match="wider"):
        read_access_list(Registry(passes(1), tamper=widen), registry, subnet)


def test_no_code_names_address_and_chain() -> None:
    with pytest.raises(NoContract, match=rf"{registry} on chain {chain} \(http://fake\).*pulumi refresh"):
        read_access_list(Registry([], tamper=lambda cursor, data: b""), registry, subnet)


def test_a_list_without_end_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(read, "time_limit", 0.2)
    endless = Registry([], lie=lambda cursor, page: replace(page, next=cursor + 1, total=2**255))
    with pytest.raises(ChainUnreachable, match=r"whole within 0\.2 s .* rows so far"):
        read_access_list(endless, registry, subnet)


def test_an_older_block_is_refused_before_anything_is_read() -> None:
    endpoint = Registry(passes(3))
    known = Block(43, "0x" + "cd" * 32)
    with pytest.raises(OlderBlock, match=r"at block 42 .* block 43 .* already known"):
        read_access_list(endpoint, registry, subnet, not_before=known)
    assert endpoint.pages == 0


def test_the_same_block_again_is_not_older() -> None:
    assert read_access_list(Registry(passes(3)), registry, subnet, not_before=head).block == head


def test_slots_outside_the_subnet_are_left_out_and_named() -> None:
    """A full subnet must not keep anybody from being removed."""
    small = IPv4Network("10.77.0.0/29")
    access = read_access_list(Registry(passes(10)), registry, small)
    assert len(access.entries) == slots(small)
    assert len(access.left_out) == 10 - slots(small)
    assert not set(access.left_out) & set(access.by_token)
    assert access.digest == digest_of(access.entries)


@pytest.mark.parametrize("text", ["", "0x12", "registry"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not an address"):
        read_access_list(Registry([]), text, subnet)


def test_a_block_that_is_gone_is_not_a_page_too_large() -> None:
    class Pruned(Registry):
        def _page(self, arguments: bytes) -> bytes:
            raise BlockGone("header not found")

    endpoint = Pruned(passes(3))
    with pytest.raises(BlockGone):
        read_access_list(endpoint, registry, subnet)
    assert endpoint.pages == 1
