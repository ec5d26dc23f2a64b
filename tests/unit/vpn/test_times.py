"""Clocks that jump, lists older than they look, journals that are damaged, and machines without resources."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import pytest

from berth.access.current import Update
from berth.access.errors import OlderBlock
from berth.access.model import AccessList
from berth.access.policy import Breaker, BreakerRule, Freshness
from berth.vpn.command import run
from berth.vpn.errors import CommandFailed, NodeError, StoreDamaged
from berth.vpn.files import line_of
from berth.vpn.heal import Healer
from berth.vpn.store import Store, Stored
from berth.vpn.uapi import Uapi
from berth.vpn.wireguard import WireGuard
from tests.unit.vpn.fakes import FakeSource, FakeWg, access_list, agent_on, block

start = 1_800_000_000.0


class Following:
    """An agent that follows, on fakes, with a clock of its own."""

    def __init__(self, volume: Path, *lists: AccessList, freshness: Freshness | None = None) -> None:
        self.now, self.wg, self.source = start, FakeWg(), FakeSource(list(lists))
        self.agent = agent_on(volume, self.wg, self.source, follows=True, freshness=freshness, clock=lambda: self.now)
        self.agent.start()

    def install(self, access: AccessList) -> None:
        self.agent.install(access, self.source.origin)
        self.agent.confirm(self.now)

    @property
    def peers(self) -> dict[str, str]:
        return WireGuard("wg0", self.wg).read().addresses


def with_terms(access: AccessList, expires: int) -> AccessList:
    return replace(access, entries=tuple(replace(entry, expires=expires) for entry in access.entries))


def test_terms_that_a_clock_ended_too_soon_are_back_when_it_is_put_right(tmp_path: Path) -> None:
    access = with_terms(access_list(10, 1, 2), int(start) + 600)
    node = Following(tmp_path)
    node.install(access)
    node.agent.tick()
    node.now += 10_000
    node.agent.confirm(node.now)
    node.agent.tick()
    assert node.peers == {}
    node.now = start + 10
    node.agent.tick()
    assert node.peers == access.peers
    node.now = start + 600
    node.agent.tick()
    assert node.peers == {}


def test_a_list_confirmed_in_the_future_is_still_too_old_in_time(tmp_path: Path) -> None:
    node = Following(tmp_path, freshness=Freshness(max_age=900))
    node.install(access_list(10, 1))
    node.now = start + 10**8
    node.agent.confirm(node.now)
    node.now = start + 1
    node.agent.tick()
    assert node.peers
    node.now += 901
    node.agent.tick()
    assert node.agent.closed
    assert node.peers == {}


def test_a_clock_set_back_does_not_hold_a_mass_removal_longer() -> None:
    breaker = Breaker(BreakerRule(wait=900))
    breaker.hold({"a": "10.77.0.2"}, start, "1-a")
    assert not breaker.overdue(start - 10**7)
    assert breaker.overdue(start - 10**7 + 900)


def test_an_approval_is_of_those_who_waited_when_it_was_given() -> None:
    breaker = Breaker(BreakerRule())
    breaker.hold({"a": "10.77.0.2"}, start, "1-a")
    breaker.hold({"a": "10.77.0.2"}, start + 1, "2-b")
    assert breaker.id == "1-a"
    breaker.hold({"b": "10.77.0.3"}, start + 2, "3-c")
    assert (breaker.id, breaker.deadline) == ("3-c", start + 900)


def test_removals_are_never_taken_from_an_older_block_again(tmp_path: Path) -> None:
    """The additions' block is newer, but who was removed since the removals' block would be a peer again."""
    node = Following(tmp_path, access_list(110, 1), access_list(140, 1))
    node.install(replace(access_list(110, 1), removals=block(140)))
    with pytest.raises(OlderBlock, match=r"120 .* is behind block 140"):
        node.install(replace(access_list(111, 1, 2), removals=block(120)))
    assert len(node.peers) == 1
    node.install(replace(access_list(112, 1, 2), removals=block(141)))
    assert len(node.peers) == 2


def test_an_update_to_a_block_before_the_removals_brings_nobody_back(tmp_path: Path) -> None:
    """Who was removed since that block would be a peer again until the node's next step."""
    wanted = access_list(120, 1, 2)
    node = Following(tmp_path, access_list(110, 1), wanted, access_list(140, 1))
    node.install(replace(access_list(110, 1), removals=block(140)))
    with pytest.raises(OlderBlock, match="takes removals from block 140"):
        node.agent.apply(wanted.digest, wanted.block)
    assert len(node.peers) == 1


def test_a_journal_that_is_broken_before_its_end_gives_no_older_list(tmp_path: Path) -> None:
    first, tree = access_list(10, 1, 2), access_list(11, 2)
    store = Store(tmp_path)
    store.save(Stored(first, "0xgenesis"))
    store.append(Update(block(11), (), (1,)), tree.digest, start)
    store.append(Update(block(12)), tree.digest, start + 1)
    store.close()
    log = tmp_path / "list.log"
    content = log.read_bytes()
    log.write_bytes(content.replace(b'"drop"', b'"dr0p"'))
    with pytest.raises(StoreDamaged, match=r"line 1 of .* is broken, and others follow"):
        Store(tmp_path).load()
    assert Store(tmp_path).load() is None
    assert (tmp_path / "list.json.damaged").exists()


def test_a_journal_that_is_cut_off_at_its_end_is_what_a_loss_of_power_leaves(tmp_path: Path) -> None:
    first = access_list(10, 1, 2)
    Store(tmp_path).save(Stored(first, "0xgenesis"))
    (tmp_path / "list.log").write_text(line_of({"n": 9})[:-4] + "\n")
    stored = Store(tmp_path).load()
    assert stored is not None
    assert stored.access == first


def test_a_command_that_cannot_be_started_is_a_fault_of_the_node() -> None:
    with pytest.raises(CommandFailed, match="could not be started"):
        run(["/"])


def test_no_descriptor_for_the_control_socket_is_a_fault_of_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none_left(*_: Any) -> None:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr("socket.socket", none_left)
    with pytest.raises(CommandFailed, match="Too many open files"):
        Uapi("wg0", tmp_path).version()


def test_the_healer_outlives_what_it_did_not_expect() -> None:
    looks: list[int] = []

    def check() -> None:
        looks.append(1)
        if len(looks) == 1:
            raise OSError("no memory")
        raise NodeError("gone")

    class Ground:
        reasons: ClassVar[list[str]] = []

        def sessions(self) -> str:
            return ""

        def wake(self, sessions: Any) -> int:
            return 0

    healer = Healer([check], Ground.reasons.append, Ground(), every=0.01)
    healer.start()
    for _ in range(200):
        if Ground.reasons:
            break
        healer._stop.wait(0.01)
    healer.stop()
    assert Ground.reasons
