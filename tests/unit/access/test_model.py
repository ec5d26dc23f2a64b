"""The digest of a list: the same passes give the same one, any difference another."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import replace
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from berth.access import merkle
from berth.access.model import AccessList, Block, Entry, ListTree, PeersTree, digest_of, peers_digest
from berth.chain.hashing import checksum_address

block = Block(7, "0x" + "ab" * 32)
other_block = Block(8, "0x" + "cd" * 32)
registry = "0x" + "11" * 20


def entry(token: int, owner: int = 1, key: int = 1, host: int = 2) -> Entry:
    return Entry(
        token,
        checksum_address(owner.to_bytes(20, "big")),
        b64encode(key.to_bytes(32, "big")).decode(),
        f"10.77.{host >> 8}.{host & 255}",
    )


entries = st.builds(
    entry,
    token=st.integers(0, 2**256 - 1),
    owner=st.integers(0, 2**160 - 1),
    key=st.integers(0, 2**256 - 1),
    host=st.integers(2, 65534),
)
lists = st.lists(entries, max_size=20, unique_by=lambda one: one.token)


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962 section 2.1 as it is written: recursive, split at the largest power of two below the size."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    split = 1 << (len(leaves) - 1).bit_length() - 1
    return sha256(b"\x01" + naive_root(leaves[:split]) + naive_root(leaves[split:])).digest()


@given(st.lists(st.binary(max_size=40), max_size=40))
def test_merkle_is_rfc_6962(leaves: list[bytes]) -> None:
    assert merkle.root(leaves) == naive_root(leaves)


def test_merkle_known_answers() -> None:
    """From the test vectors of Certificate Transparency's reference implementation."""
    leaves = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243")]
    assert merkle.root([]).hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert merkle.root(leaves[:1]).hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
    assert merkle.root(leaves[:3]).hex() == "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77"
    assert merkle.root(leaves).hex() == "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef"


@given(lists, st.randoms())
def test_order_does_not_matter(found: list[Entry], random: object) -> None:
    shuffled = list(found)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert digest_of(found) == digest_of(shuffled)


@given(lists, lists)
def test_other_lists_have_other_digests(one: list[Entry], two: list[Entry]) -> None:
    same = sorted(one, key=lambda e: e.token) == sorted(two, key=lambda e: e.token)
    assert (digest_of(one) == digest_of(two)) == same


@pytest.mark.parametrize("change", [{"token": 2}, {"owner": 2}, {"key": 2}, {"host": 3}])
def test_every_field_counts(change: dict[str, int]) -> None:
    assert digest_of([entry(**{"token": 1, **change})]) != digest_of([entry(1)])


def test_block_and_chain_do_not_count() -> None:
    here = AccessList(31337, registry, block, (entry(1),))
    assert here.digest == replace(here, block=other_block, chain_id=1).digest


@given(entries)
def test_inputs_and_back(one: Entry) -> None:
    assert Entry.from_inputs(str(one.token), one.as_inputs()) == one


@pytest.mark.parametrize(
    "damage", [{"owner": "0x12"}, {"key": "AAAA"}, {"key": "not base64"}, {"address": "10.77.0"}, {"owner": None}]
)
def test_damaged_inputs_are_refused(damage: dict[str, str | None]) -> None:
    with pytest.raises(ValueError):
        Entry.from_inputs("1", {**entry(1).as_inputs(), **damage})


def test_a_missing_field_is_named() -> None:
    with pytest.raises(ValueError, match="token 1: 'key' is missing"):
        Entry.from_inputs("1", {"owner": entry(1).owner, "address": "10.77.0.2"})


def test_peers_digest_tells_addresses_apart() -> None:
    peers = {"a": "10.77.0.2", "b": "10.77.0.3"}
    assert peers_digest(peers) == peers_digest(dict(reversed(peers.items())))
    assert peers_digest(peers) != peers_digest({"a": "10.77.0.3", "b": "10.77.0.2"})
    assert peers_digest({}) == digest_of(())


@pytest.mark.parametrize(("number", "hash"), [(-1, "0x" + "ab" * 32), (1, "0x12"), (1, "0x" + "AB" * 32), (1, "")])
def test_what_is_no_block(number: int, hash: str) -> None:
    with pytest.raises(ValueError, match="not a block"):
        Block(number, hash)


def by_hand(leaves: dict[int, list[bytes]]) -> str:
    """The root over 256 bucket roots, as the docstring says it."""
    return "sha256:" + naive_root([naive_root(leaves.get(bucket, [])) for bucket in range(256)]).hex()


@given(lists)
def test_the_digest_is_over_256_buckets(found: list[Entry]) -> None:
    leaves: dict[int, list[bytes]] = {}
    for one in sorted(found, key=lambda e: e.token):
        leaves.setdefault(sha256(one.token.to_bytes(32, "big")).digest()[0], []).append(one.leaf())
    assert digest_of(found) == by_hand(leaves)


@given(st.dictionaries(st.text("abc", min_size=1), st.sampled_from(["10.77.0.2", "10.77.0.3"])))
def test_the_peers_digest_is_over_256_buckets(peers: dict[str, str]) -> None:
    leaves: dict[int, list[bytes]] = {}
    for key, address in sorted(peers.items()):
        leaves.setdefault(sha256(key.encode()).digest()[0], []).append(f"{key} {address}\n".encode())
    assert peers_digest(peers) == by_hand(leaves)


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3), st.booleans()), max_size=40))
def test_a_tree_that_changes_is_the_tree_made_anew(steps: list[tuple[int, int, bool]]) -> None:
    trees, kept = (ListTree(), PeersTree()), {}
    for token, host, put in steps:
        one = entry(token, key=token, host=host + 2)
        if put:
            kept[token] = one
            trees[0].put(one)
            trees[1].put(one.key, one.address)
        else:
            kept.pop(token, None)
            trees[0].drop(token)
            trees[1].drop(one.key)
        assert trees[0].digest == digest_of(kept.values())
        assert trees[1].digest == peers_digest({e.key: e.address for e in kept.values()})


def test_a_longer_term_makes_no_other_list() -> None:
    assert replace(entry(1), expires=5) == entry(1)
    assert digest_of([replace(entry(1), expires=5)]) == digest_of([entry(1)])
