"""What a health report says of the chain, without waiting for it."""

from __future__ import annotations

import pytest

from berth.chain.endpoint import Block
from berth.chain.errors import ChainUnreachable
from berth.chain.watch import ChainWatch

head = Block(30, "0x" + "30" * 32)


class Chain:
    """An endpoint that can be out of reach."""

    def __init__(self) -> None:
        self.reachable = False

    def check_chain(self) -> None:
        if not self.reachable:
            raise ChainUnreachable("nothing answers")

    def block(self) -> Block:
        return head


def test_the_watch_remembers_what_it_saw() -> None:
    chain, seen = Chain(), list[Block]()
    watch = ChainWatch(chain, seen.append)  # type: ignore[arg-type]  # all that it asks for
    assert watch.check() == "not asked yet"
    watch.look()
    with pytest.raises(ChainUnreachable):
        watch.check()
    chain.reachable = True
    watch.look()
    assert watch.check() == f"head {head}"
    assert seen == [head]


def test_what_is_asked_besides_the_head_counts_as_well() -> None:
    def fail(_: Block) -> None:
        raise ChainUnreachable("no balance")

    chain = Chain()
    chain.reachable = True
    watch = ChainWatch(chain, fail)  # type: ignore[arg-type]  # all that it asks for
    watch.look()
    with pytest.raises(ChainUnreachable, match="no balance"):
        watch.check()
