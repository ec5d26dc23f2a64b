"""Endpoints that lie, or answer with too much, while a node follows them."""

from __future__ import annotations

import time
from typing import Any

import pytest

from berth.access import follow
from berth.access.errors import InconsistentList
from berth.chain.dev import mine
from berth.chain.endpoint import Endpoint
from berth.chain.errors import ChainUnreachable
from berth.chain.quorum import Quorum
from tests.integration.access.test_follow import World, anvil, contracts, world

__all__ = ["anvil", "contracts", "world"]

pytestmark = [pytest.mark.chain, pytest.mark.timeout(120)]


class Stuck(Endpoint):
    """Answers every question for a block by its hash with the same block."""

    lies = False

    def request(self, method: str, *params: Any) -> Any:
        if self.lies and method == "eth_getBlockByHash":
            return super().request("eth_getBlockByNumber", "latest", False)
        return super().request(method, *params)


def test_headers_that_lead_nowhere_are_not_followed_for_ever(world: World) -> None:
    endpoint = Stuck(world.anvil.url, 31337)
    world.follow(chain=Quorum([endpoint]))
    world.join()
    world.follower.step()
    before = world.peers
    mine(world.endpoint, 3)
    endpoint.lies = True
    with pytest.raises(InconsistentList):
        world.follower.step()
    assert world.peers == before
    endpoint.lies = False
    world.join()
    world.follower.step()
    assert world.peers == world.list().peers


def test_a_block_with_more_events_than_an_answer_holds_is_read_whole(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def too_many(*_: Any) -> None:
        raise ChainUnreachable("answered eth_getLogs with HTTP 200 and no JSON-RPC")

    world.follow()
    token = world.join()
    world.follower.step()
    monkeypatch.setattr(follow, "touched", too_many)
    world.sell(token)
    world.follower.step()
    assert world.peers == {}
    assert world.counted("list_reads", reason="many") == 1


def test_suspects_and_a_dead_chain_are_no_endless_loop(world: World) -> None:
    world.follow(sockets=[""])
    token = world.join()
    world.start()
    world.until(lambda: len(world.peers) == 1)
    world.anvil.stop()
    world.follower._suspect({token})
    time.sleep(2)
    assert world.counted("follow_faults", kind="chain") < 20
