"""Endpoints that lie, lag and die: the peers are always the list of some block."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from berth.access.errors import ChainUnreachable, OlderBlock
from berth.chain.abi import selector
from berth.chain.anvil import Anvil
from berth.chain.dev import mine
from berth.chain.errors import ChainError
from berth.chain.seed import Contracts, deploy
from berth.vpn.errors import VpnError
from tests.integration.access.liar import Liar, liar, quorum
from tests.integration.access.world import World

pytestmark = [pytest.mark.chain, pytest.mark.timeout(180)]


@pytest.fixture(scope="module")
def anvil() -> Iterator[Anvil]:
    with Anvil("--slots-in-an-epoch", "1") as anvil:
        yield anvil


@pytest.fixture(scope="module")
def contracts(anvil: Anvil) -> Contracts:
    return deploy(anvil.endpoint())


@pytest.fixture
def liars(anvil: Anvil) -> Iterator[list[Liar]]:
    with ExitStack() as stack:
        yield [stack.enter_context(liar(anvil.url)) for _ in range(3)]


@pytest.fixture
def world(anvil: Anvil, contracts: Contracts, tmp_path: Path) -> Iterator[World]:
    snapshot = anvil.endpoint().request("evm_snapshot")
    made = World(anvil, contracts, tmp_path)
    yield made
    made.stop()
    anvil.endpoint().request("evm_revert", snapshot)


_peers_of = "0x" + selector("peersOf(uint256[])").hex()


def forge(method: str, params: list[Any], result: Any) -> Any:
    """An answer about nobody, with a checksum that is right: one endpoint alone is believed."""
    empty = "0x" + "".join(f"{word:064x}" for word in (0x60, 0, 31337, 0))
    return empty if method == "eth_call" and params[0]["data"].startswith(_peers_of) else result


def hide_logs(method: str, params: list[Any], result: Any) -> Any:
    return [] if method == "eth_getLogs" else result


def stuck_at(number: int) -> Callable[[str, list[Any], Any], Any]:
    """Its head does not move."""

    def bend(method: str, params: list[Any], result: Any) -> Any:
        if method == "eth_getBlockByNumber" and params[0] in ("latest", "safe", "finalized"):
            return {**result, "number": hex(number), "hash": "0x" + "00" * 32}
        return None if method == "eth_getBlockByNumber" and int(params[0], 16) > number else result

    return bend


@pytest.mark.parametrize("bend", [forge, hide_logs])
def test_one_endpoint_of_three_that_lies_is_outvoted_and_named(world: World, liars: list[Liar], bend: Any) -> None:
    blamed: list[str] = []
    world.follow(chain=quorum(liars, 2, blamed.append), sockets=["", "", ""])
    world.follower.step()
    liars[0].bend = bend
    for _ in range(3):
        world.join()
        world.follower.step()
        assert world.peers == world.list().peers
    assert set(blamed) <= {liars[0].url}
    # The two that agree may have answered before the third was heard at all.
    for liar_ in liars[1:]:
        liar_.delay = 0.05
    world.join()
    world.follower.step()
    assert world.peers == world.list().peers
    assert set(blamed) == {liars[0].url}


def test_one_that_lags_holds_nobody_up(world: World, liars: list[Liar]) -> None:
    world.follow(chain=quorum(liars, 2), sockets=["", "", ""])
    world.follower.step()
    liars[2].bend = stuck_at(world.endpoint.block().number)
    world.join()
    world.follower.step()
    assert world.peers == world.list().peers


def test_two_that_lag_or_are_gone_leave_the_last_good_list(world: World, liars: list[Liar]) -> None:
    world.follow(chain=quorum(liars, 2), sockets=["", "", ""])
    world.join()
    world.follower.step()
    kept = world.peers
    for one in liars[:2]:
        one.gone = True
    world.join()
    with pytest.raises(ChainUnreachable, match="endpoints"):
        world.follower.step()
    assert world.peers == kept
    liars[0].gone = False
    world.follower.step()
    assert world.peers == world.list().peers


def test_two_that_tell_two_stories_are_no_quorum(world: World, liars: list[Liar]) -> None:
    world.follow(chain=quorum(liars[:2], 2), sockets=["", ""])
    world.follower.step()
    kept = world.peers
    liars[0].bend = lambda method, params, result: result + "00" if method == "eth_call" else result
    world.join()
    with pytest.raises(ChainUnreachable, match="agree on eth_call"):
        world.follower.step()
    assert world.peers == kept


def test_where_one_is_enough_the_next_is_asked(world: World, liars: list[Liar]) -> None:
    world.follow(chain=quorum(liars, 1), sockets=["", "", ""])
    world.join()
    world.follower.step()
    liars[0].gone = True
    world.join()
    world.follower.step()
    assert world.peers == world.list().peers
    assert world.chain.preferred.url == liars[1].url


def test_an_endpoint_of_another_chain_is_refused(world: World, liars: list[Liar]) -> None:
    liars[1].bend = lambda method, params, result: "0x1" if method == "eth_chainId" else result
    world.follow(chain=quorum(liars, 2), sockets=["", "", ""])
    with pytest.raises(ChainError, match="serves chain 1"):
        world.follower.step()
    assert world.peers == {}


def test_an_older_head_never_overwrites_a_newer_list(world: World, liars: list[Liar]) -> None:
    world.follow(chain=quorum(liars[:1], 1), sockets=[""])
    world.join()
    old = world.endpoint.header()
    world.follower.step()
    world.join()
    world.follower.step()
    kept = world.peers
    with pytest.raises(OlderBlock):
        world.follower.step(old)
    assert world.peers == kept == world.list().peers


@pytest.mark.parametrize(
    "answer",
    ["0x", "0x00", "0x" + "ff" * 128, "not hex", None, 7, ["0x"], {}],
)
def test_an_answer_that_is_none_changes_nothing(world: World, liars: list[Liar], answer: Any) -> None:
    world.follow(chain=quorum(liars[:1], 1), sockets=[""])
    world.join()
    world.follower.step()
    kept = world.peers
    world.join()
    liars[0].bend = lambda method, params, result: answer if method == "eth_call" else result
    with pytest.raises((ChainError, VpnError)):
        world.follower.step()
    assert world.peers == kept
    # Events that are none: the list is read whole instead.
    liars[0].bend = lambda method, params, result: [answer] if method == "eth_getLogs" else result
    mine(world.endpoint)
    world.follower.step()
    assert world.peers == world.list().peers


def test_one_that_was_never_there_holds_no_block_up_and_is_checked_when_it_comes(
    world: World, liars: list[Liar]
) -> None:
    for one in liars:
        one.gone = one is liars[0]
    world.follow(chain=quorum(liars, 2), sockets=["", "", ""])
    world.join()
    world.follower.step()
    asked: list[str] = []
    liars[0].bend = lambda method, params, result: (
        asked.append(method) or ("0x1" if method == "eth_chainId" else result)
    )
    liars[0].gone = False
    for _ in range(3):
        world.join()
        world.follower.step()
    assert world.peers == world.list().peers
    assert set(asked) == {"eth_chainId"}
