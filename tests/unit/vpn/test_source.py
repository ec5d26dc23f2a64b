"""How a node reads the chain itself: only the list that was asked for, at the block that was named."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network
from typing import Any

import pytest

from berth.access.errors import BlockGone, OlderBlock, WrongChain
from berth.access.model import AccessList, Block
from berth.vpn import source as module
from berth.vpn.errors import ListRefused
from berth.vpn.source import ChainSource
from tests.unit.vpn.fakes import access_list, block, registry

listed = access_list(20, 1, 2)


class Chain:
    """An endpoint whose blocks are ``blocks``; states of those in ``pruned`` are gone."""

    url = "http://chain:8545"

    def __init__(self, head: int) -> None:
        self.blocks = {n: block(n) for n in range(head + 1)}
        self.pruned: set[int] = set()
        self.wrong = False

    def check_chain(self) -> None:
        if self.wrong:
            raise WrongChain("another chain")

    def block(self, at: Any = "latest") -> Block:
        if at == "latest":
            return self.blocks[max(self.blocks)]
        for found in self.blocks.values():
            if at in (found.number, found.hash):
                return found
        raise BlockGone(f"{self.url} has no block {at}")


@pytest.fixture
def chain(monkeypatch: pytest.MonkeyPatch) -> Chain:
    chain = Chain(30)

    def read(
        endpoint: Chain, _: str, __: IPv4Network, at: Block | None = None, *, not_before: Block | None = None
    ) -> AccessList:
        where = at or endpoint.block()
        if where.number in endpoint.pruned:
            raise BlockGone("state is not available")
        if not_before and where.number < not_before.number:
            raise OlderBlock("behind")
        return replace(listed, block=where)

    monkeypatch.setattr(module, "read_access_list", read)
    return chain


def make(chain: Chain) -> ChainSource:
    return ChainSource(chain, registry, IPv4Network("10.77.0.0/16"))  # type: ignore[arg-type]


def test_the_list_of_the_block_that_was_named(chain: Chain) -> None:
    assert make(chain).read(listed.digest, block(20)) == listed


def test_another_digest_is_refused(chain: Chain) -> None:
    with pytest.raises(ListRefused, match="the chain gives the list"):
        make(chain).read(access_list(20, 1).digest, block(20))


def test_a_hash_with_another_number_is_refused(chain: Chain) -> None:
    with pytest.raises(ListRefused, match="is number 20 on the chain, not 9000"):
        make(chain).read(listed.digest, Block(9000, block(20).hash))


def test_where_the_state_is_gone_the_same_list_at_the_head_will_do(chain: Chain) -> None:
    chain.pruned = set(range(25))
    access = make(chain).read(listed.digest, block(20))
    assert access.block == block(30)
    with pytest.raises(ListRefused, match="at the head"):
        make(chain).read(access_list(20, 1).digest, block(20))


def test_an_endpoint_behind_the_block_is_not_its_head(chain: Chain) -> None:
    with pytest.raises(OlderBlock):
        make(chain).read(listed.digest, block(40))


def test_another_chain_is_not_read(chain: Chain) -> None:
    chain.wrong = True
    with pytest.raises(WrongChain):
        make(chain).read(listed.digest, block(20))


def test_canonical(chain: Chain) -> None:
    assert make(chain).canonical(block(20))
    assert not make(chain).canonical(block(20, "fork"))
    with pytest.raises(OlderBlock):
        make(chain).canonical(block(31))
    assert make(chain).genesis() == block(0).hash
