"""Whose each tunnel address is, after whatever happened to the list; and who is told of it."""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from berth.access.current import CurrentList
from berth.access.model import AccessList, Entry
from berth.access.policy import BreakerRule
from berth.vpn.agent import Agent
from berth.vpn.metrics import NodeMetrics
from berth.vpn.owners import Owner, Owners
from berth.vpn.store import Store
from berth.vpn.wireguard import WireGuard
from tests.unit.vpn import fakes
from tests.unit.vpn.fakes import FakeGround, FakeSource, FakeWg, block, key


class Bench:
    """A node that follows, with a clock of its own, and somebody who listens from the start."""

    def __init__(self, volume: Path) -> None:
        self.now, self.owners = 1000.0, Owners()
        self.feed, self.heard = self.owners.listen(), dict[str, Owner]()
        self.agent = Agent(
            name="node-1",
            public_key=key("node"),
            port=51820,
            registry=fakes.registry,
            chain_id=fakes.chain_id,
            node=FakeGround(),
            peers=WireGuard("wg0", FakeWg()),
            source=FakeSource([]),
            store=Store(volume),
            metrics=NodeMetrics(CollectorRegistry()),
            follows=True,
            breaker=BreakerRule(share=50, at_least=3, wait=60),
            owners=self.owners,
            clock=lambda: self.now,
        )
        self.agent.start()
        self.current: CurrentList | None = None

    def reach(self, number: int, entries: list[Entry], whole: bool) -> None:
        """The list of these entries at block ``number``: read whole, or as what changed."""
        access = AccessList(
            fakes.chain_id, fakes.registry, block(number), tuple(sorted(entries, key=lambda e: e.token))
        )
        if whole or self.current is None:
            self.agent.install(access, "0xgenesis")
            self.current = CurrentList.of(access)
        else:
            update = self.current.update_to(access)
            self.agent.advance((self.current.block, None), update)
            self.current.change(update)
        self.agent.confirm(self.now)

    def wanted(self) -> dict[str, Owner]:
        entries = self.current.entries.values() if self.current else ()
        return {
            one.address: Owner(one.token, one.owner) for one in entries if self.agent.peers.get(one.key) == one.address
        }

    def hear(self) -> dict[str, Owner]:
        for address, owner in self.feed.take(0).items():
            if owner is None:
                self.heard.pop(address, None)
            else:
                self.heard[address] = owner
        return self.heard


def entry(token: int, name: str, slot: int, expires: int = 0, holder: int = 0) -> Entry:
    return Entry(token, holders[holder], key(name), f"10.77.0.{slot + 1}", expires)


def of(token: int, holder: int = 0) -> Owner:
    return Owner(token, holders[holder])


holders = (fakes.owner, "0x" + "11" * 20)


# Few of each, so that keys and addresses go from one pass to another; each once in a list, as the contract has it.
_lists = st.lists(
    st.tuples(
        st.integers(1, 6),
        st.sampled_from("abcdef"),
        st.integers(1, 6),
        st.sampled_from([0, 0, 0, 1010, 1030]),
        st.sampled_from([0, 0, 1]),
    ),
    max_size=6,
    unique_by=(lambda one: one[0], lambda one: one[1], lambda one: one[2]),
)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(_lists, st.booleans(), st.sampled_from([0, 5, 30])), min_size=1, max_size=6))
def test_an_address_is_of_the_pass_whose_peer_has_it(
    steps: list[tuple[list[tuple[int, str, int, int, int]], bool, int]],
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        for number, (rows, whole, later) in enumerate(steps, 1):
            bench.reach(number, [entry(*row) for row in rows], whole)
            assert bench.hear() == bench.wanted()
            bench.now += later
            bench.agent.tick()
            assert bench.hear() == bench.wanted()


def test_who_waits_for_an_address_keeps_the_tunnel_and_has_no_pass_meanwhile(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.reach(1, [entry(1, "b", 2), entry(2, "c", 1), entry(3, "d", 3), entry(4, "a", 4)], True)
    bench.reach(2, [entry(1, "a", 1)], False)
    assert bench.agent.peers[key("a")] == "10.77.0.5"  # a mass removal: c is held, and has the address
    assert bench.hear() == {}


def test_who_waits_for_approval_keeps_the_tunnel_and_has_no_pass(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.reach(1, [entry(n, f"k{n}", n) for n in range(1, 7)], True)
    assert len(bench.hear()) == 6
    bench.reach(2, [entry(1, "k1", 1)], False)
    assert len(bench.agent.peers) == 6  # a mass removal: it is held
    assert bench.hear() == {"10.77.0.2": of(1)}


def test_a_list_too_old_to_be_believed_leaves_nobody(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.reach(1, [entry(1, "a", 1)], True)
    assert bench.hear() == {"10.77.0.2": of(1)}
    bench.now += 10_000
    bench.agent.tick()
    assert bench.hear() == {}
    bench.agent.confirm(bench.now)
    assert bench.hear() == {"10.77.0.2": of(1)}


def test_one_who_listens_late_hears_all_and_one_who_is_slow_hears_the_last() -> None:
    owners = Owners()
    slow = owners.listen()
    owners.reset({"10.77.0.2": of(1), "10.77.0.3": of(2)})
    owners.change({"10.77.0.2": of(3), "10.77.0.3": None})
    assert owners.listen().take(0) == {"10.77.0.2": of(3)}
    assert slow.take(0) == {"10.77.0.2": of(3), "10.77.0.3": None}
    owners.change({"10.77.0.2": of(3)})
    assert slow.take(0) == {}  # nothing changed
    slow.close()
    owners.reset({})
    assert slow.take(0) == {}


def test_who_waits_is_told_at_once() -> None:
    owners, heard = Owners(), list[object]()
    feed = owners.listen()
    thread = threading.Thread(target=lambda: heard.append(feed.take(10)))
    thread.start()
    owners.change({"10.77.0.2": of(1)})
    thread.join(5)
    assert heard == [{"10.77.0.2": of(1)}]


@pytest.mark.parametrize("whole", [True, False])
def test_a_pass_that_is_sold_and_registered_anew_in_one_go_is_another_owners(tmp_path: Path, whole: bool) -> None:
    bench = Bench(tmp_path)
    bench.reach(1, [entry(1, "a", 1)], True)
    assert bench.hear() == {"10.77.0.2": of(1)}
    # The same pass, key and address: a slot may be bound again, and a key go on to the buyer.
    bench.reach(2, [entry(1, "a", 1, holder=1)], whole)
    assert bench.feed.take(0) == {"10.77.0.2": of(1, 1)}
