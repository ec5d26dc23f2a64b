"""What is kept of a list: receipts, and the pin between preview and update."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest

from berth.access.errors import ListMoved, PinDamaged
from berth.access.model import AccessList, Block, Entry
from berth.access.pin import Pin
from berth.access.receipt import Receipt

alice, bob, carol = (
    Entry(n, f"0x{n:040x}", b64encode(bytes([n] * 32)).decode(), f"10.77.0.{n + 1}") for n in (1, 2, 3)
)
block = Block(7, "0x" + "ab" * 32)
later = Block(9, "0x" + "cd" * 32)
shown = AccessList(31337, "0x" + "11" * 20, block, (alice, bob))


def test_a_receipt_verifies_without_a_chain() -> None:
    receipt = Receipt.from_dict(Receipt.of(shown).as_dict())
    assert receipt.problems(shown) == []
    assert receipt.peers == 2


@pytest.mark.parametrize(
    ("access", "field"),
    [
        (replace(shown, block=later), "block"),
        (replace(shown, entries=(alice,)), "digest"),
        (replace(shown, chain_id=1), "chain_id"),
        (replace(shown, registry="0x" + "22" * 20), "registry"),
    ],
)
def test_a_receipt_of_something_else_says_what(access: AccessList, field: str) -> None:
    assert any(problem.startswith(field) for problem in Receipt.of(shown).problems(access))


def test_a_receipt_holds_the_peers_that_were_read_back() -> None:
    receipt = Receipt.of(shown, {alice.key: alice.address})
    assert receipt.peers == 1
    assert any(problem.startswith("peers_digest") for problem in receipt.problems(shown))


@pytest.mark.parametrize("raw", [{}, {"digest": "x"}, {**Receipt.of(shown).as_dict(), "block": None}])
def test_what_is_no_receipt(raw: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a receipt"):
        Receipt.from_dict(raw)


def test_the_same_list_later_is_the_pinned_one(tmp_path: Path) -> None:
    file = tmp_path / "state" / "pin.json"
    Pin.of(shown).write(file)
    assert file.stat().st_mode & 0o777 == 0o600
    pin = Pin.read(file)
    assert pin == Pin.of(shown)
    pin.compare(replace(shown, block=later))


def test_a_moved_list_names_who_gained_and_lost() -> None:
    moved = replace(shown, block=later, entries=(alice, carol))
    with pytest.raises(ListMoved, match=r"block 7 .* block 9 .*added token 3 .*; removed token 2 .*make preview"):
        Pin.of(shown).compare(moved)


def test_a_new_key_is_a_change() -> None:
    moved = replace(shown, entries=(replace(alice, key=carol.key), bob))
    with pytest.raises(ListMoved, match=r": changed token 1 "):
        Pin.of(shown).compare(moved)


def test_many_are_counted() -> None:
    many = tuple(replace(carol, token=n) for n in range(10, 30))
    with pytest.raises(ListMoved, match=r"token 14 \([^)]*\) and 15 more"):
        Pin.of(shown).compare(replace(shown, entries=many))


def test_another_registry_is_not_the_pinned_one() -> None:
    with pytest.raises(ListMoved, match="registry"):
        Pin.of(shown).compare(replace(shown, registry="0x" + "22" * 20))


def test_a_pin_that_cannot_be_read_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(PinDamaged, match="make preview"):
        Pin.read(tmp_path)


def test_no_file_is_no_pin(tmp_path: Path) -> None:
    assert Pin.read(tmp_path / "pin.json") is None


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"chainId": 1', "null", "\x00\xff", "[" * 5000])
def test_a_damaged_pin_says_what_to_do(tmp_path: Path, content: str) -> None:
    file = tmp_path / "pin.json"
    file.write_text(content)
    with pytest.raises(PinDamaged, match="make preview"):
        Pin.read(file)
