"""Differences are found and repaired; a change under way is none."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network

import pytest

from berth.access.diff import Changes
from berth.access.tunnel import Subnets
from berth.vpn.audit import Auditor, Wanted
from berth.vpn.errors import CommandFailed, NodeError
from berth.vpn.fingerprint import Fingerprint, Parts
from tests.unit.vpn.fakes import key

subnets = Subnets(IPv4Network("10.77.0.0/16"), IPv6Network("fd77::/64"))
A, B, C = key("a"), key("b"), key("c")


def fingerprint(peers: dict[str, str]) -> Parts:
    made = Fingerprint()
    for name, address in peers.items():
        made.put(name, subnets.allowed(address))
    return made.parts()


@dataclass
class Interface:
    peers: dict[str, str] = field(default_factory=dict)
    before: Callable[[], None] = lambda: None
    fault: NodeError | None = None

    def fingerprint(self) -> Parts:
        if self.fault:
            raise self.fault
        self.before()
        return fingerprint(self.peers)


def test_what_is_wanted_follows_each_change() -> None:
    wanted = Wanted(subnets)
    assert wanted.snapshot() == fingerprint({})
    wanted.reset({A: "10.77.0.2", B: "10.77.0.3"})
    wanted.change(Changes(add={C: "10.77.0.4"}, remove={A: "10.77.0.2"}, move={B: "10.77.0.2"}))
    assert wanted.snapshot() == fingerprint({C: "10.77.0.4", B: "10.77.0.2"})


def test_a_difference_is_repaired_once() -> None:
    wanted, interface, told = Wanted(subnets), Interface({A: "10.77.0.2"}), list[str]()

    def repair(reason: str) -> bool:
        told.append(reason)
        interface.peers = {}
        return True

    auditor = Auditor(interface, wanted, repair)
    assert not auditor.audit()
    assert auditor.audit()
    assert told == ["the peers were changed by someone else"]
    assert auditor.differences == 1


def test_a_change_that_is_under_way_is_no_difference() -> None:
    wanted, interface, told = Wanted(subnets), Interface({A: "10.77.0.2"}), list[str]()
    # The peers changed already; what is wanted follows a moment later, between the two looks.
    looks = iter([lambda: None, lambda: wanted.reset({A: "10.77.0.2"})])
    interface.before = lambda: next(looks, lambda: None)()
    auditor = Auditor(interface, wanted, noting(told))
    assert auditor.audit()
    assert auditor.audit()
    assert told == []


def test_what_is_wanted_before_the_look_or_after_it_is_no_difference() -> None:
    """However often it changes: each part may be as it was wanted at any moment of the audit."""
    wanted, told = Wanted(subnets), list[str]()
    addresses = [f"10.77.0.{number}" for number in range(2, 20)]
    wanted.reset({A: addresses[0]})
    interface = Interface({A: addresses[7]})

    def churn() -> None:
        for address in addresses:
            wanted.change(Changes(move={A: address}))

    interface.before = churn
    auditor = Auditor(interface, wanted, noting(told))
    assert auditor.audit()
    assert auditor.count == 1
    # Once it is over, what was wanted then counts no more.
    interface.before = lambda: None
    assert not auditor.audit()
    assert len(told) == 1


def test_a_foreign_peer_is_found_within_a_second_while_others_change_all_the_time(
    started: Callable[[Auditor], Auditor],
) -> None:
    wanted, found = Wanted(subnets), threading.Event()
    interface = Interface({B: "10.77.0.99"})
    numbers = itertools.count()

    def change() -> None:
        """Faster than a look at the peers takes, and never done."""
        for _ in range(5):
            one = {key(f"churn {next(numbers) % 50}"): "10.77.1.1"}
            gone = {name: "10.77.1.1" for name in list(interface.peers) if name not in (*one, B)}
            interface.peers = {**one, B: "10.77.0.99"}
            wanted.change(Changes(add=one, remove=gone))

    interface.before = change

    def repair(_: str) -> bool:
        found.set()
        return True

    started(Auditor(interface, wanted, repair))
    assert found.wait(1)


def test_peers_that_cannot_be_read_are_no_difference_but_unhealthy() -> None:
    interface, told = Interface(fault=CommandFailed("gone")), list[str]()
    auditor = Auditor(interface, Wanted(subnets), noting(told), every=0.01)
    auditor.start()
    try:
        until(lambda: failing(auditor))
        interface.fault = None
        until(lambda: not failing(auditor))
    finally:
        auditor.stop()
    assert told == []


@pytest.fixture
def started() -> Iterator[Callable[[Auditor], Auditor]]:
    made: list[Auditor] = []

    def start(auditor: Auditor) -> Auditor:
        made.append(auditor)
        auditor.start()
        return auditor

    yield start
    for auditor in made:
        auditor.stop()


def test_a_poke_is_followed_by_an_audit_soon_and_many_by_few(started: Callable[[Auditor], Auditor]) -> None:
    auditor = started(Auditor(Interface(), Wanted(subnets), lambda _: False, every=60))
    until(lambda: auditor.count == 1)
    for _ in range(1000):
        auditor.poke()
    began = time.monotonic()
    until(lambda: auditor.count == 2)
    assert time.monotonic() - began < 1
    assert auditor.count == 2


def noting(told: list[str]) -> Callable[[str], bool]:
    """Notes each call, and says that there was something to repair."""

    def repair(reason: str) -> bool:
        told.append(reason)
        return True

    return repair


def failing(auditor: Auditor) -> bool:
    try:
        auditor.check()
    except NodeError:
        return True
    return False


def until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 10
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.005)
