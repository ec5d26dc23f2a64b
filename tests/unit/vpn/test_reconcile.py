"""Given a list and the peers that are there: which commands, and what when they fail or lie."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from ipaddress import IPv4Network, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.access.diff import Changes, diff
from berth.access.tunnel import Subnets
from berth.vpn.errors import CommandFailed, Drifted, ListRefused, RollbackFailed, RolledBack, Unreadable
from berth.vpn.reconcile import apply_changes, reconcile
from berth.vpn.wireguard import WireGuard
from tests.unit.vpn.fakes import FakeWg, key

A, B, C = key("a"), key("b"), key("c")


def node(peers: Mapping[str, str]) -> FakeWg:
    runner = FakeWg()
    for name, address in peers.items():
        runner.add(name, address if "/" in address else f"{address}/32")
    return runner


def run(runner: FakeWg, desired: Mapping[str, str]) -> dict[str, str]:
    return dict(reconcile(desired, WireGuard("wg0", runner)).peers)


@pytest.mark.parametrize(
    ("desired", "actual", "removed", "put"),
    [
        ({}, {}, [], []),
        ({A: "10.77.0.2"}, {A: "10.77.0.2"}, [], []),
        ({A: "10.77.0.2"}, {}, [], [A]),
        ({}, {A: "10.77.0.2"}, [A], []),
        ({A: "10.77.0.2", B: "10.77.0.3"}, {A: "10.77.0.2"}, [], [B]),
        ({B: "10.77.0.2"}, {A: "10.77.0.2"}, [A], [B]),
        ({A: "10.77.0.3"}, {A: "10.77.0.2"}, [], [A]),
        ({A: "10.77.0.3", B: "10.77.0.2"}, {A: "10.77.0.2", B: "10.77.0.3"}, [], [A, B]),
        ({A: "10.77.0.2"}, {A: "10.77.0.2/32,0.0.0.0/0", B: "10.77.0.3"}, [B], [A]),
        ({A: "10.77.0.2"}, {A: "10.77.0.0/24"}, [], [A]),
    ],
)
def test_only_what_differs_is_touched(
    desired: dict[str, str], actual: dict[str, str], removed: list[str], put: list[str]
) -> None:
    runner = node(actual)
    assert run(runner, desired) == desired
    commands = runner.changing
    assert [c[4::3] for c in commands if c[1] == "set"] == ([removed] if removed else [])
    stdin = "".join(runner.inputs)
    assert [line.removeprefix("PublicKey = ") for line in stdin.splitlines() if line.startswith("PublicKey")] == put
    assert len(commands) == bool(removed) + bool(put)
    # wg syncconf and setconf would reset sessions of peers that nobody asked to touch.
    assert {c[1] for c in commands} <= {"set", "addconf"}


def test_a_preshared_key_set_by_hand_is_taken_away() -> None:
    runner = FakeWg()
    runner.add(A, "10.77.0.2/32", preshared=key("psk"))
    assert run(runner, {A: "10.77.0.2"}) == {A: "10.77.0.2"}
    assert runner.peers[A][0] == "(none)"


addresses = st.dictionaries(
    st.sampled_from([key(n) for n in range(12)]), st.sampled_from([f"10.77.0.{n}" for n in range(2, 30)]), max_size=12
)
lists = addresses.filter(lambda d: len(set(d.values())) == len(d))


@given(lists, lists)
def test_any_list_is_reached_from_any_other_and_reaching_it_again_does_nothing(
    desired: dict[str, str], actual: dict[str, str]
) -> None:
    runner = node(actual)
    assert run(runner, desired) == desired
    done = len(runner.changing)
    run(runner, desired)
    assert len(runner.changing) == done


def _fail(on: str, times: int = 1) -> Callable[[FakeWg], Callable[[list[str]], None]]:
    """``wg`` refuses ``on`` (set, addconf) as often as ``times`` says."""
    left = [times]

    def make(_: FakeWg) -> Callable[[list[str]], None]:
        def before(command: list[str]) -> None:
            if command[1] == on and left[0]:
                left[0] -= 1
                raise CommandFailed(f"`wg {on}` failed: injected")

        return before

    return make


def _vanish(on: str) -> Callable[[FakeWg], Callable[[list[str]], None]]:
    """Right after the change somebody takes a peer away, once: read-back differs."""
    done: list[bool] = []

    def make(runner: FakeWg) -> Callable[[list[str]], None]:
        def before(command: list[str]) -> None:
            if command[-1] == "dump" and runner.changing and not done:
                done.append(True)
                runner.peers.pop(on, None)

        return before

    return make


before_it = {A: "10.77.0.2", B: "10.77.0.3"}
asked_for = {B: "10.77.0.4", C: "10.77.0.2"}


@pytest.mark.parametrize(
    "fault", [_fail("set"), _fail("addconf"), _vanish(C), _vanish(B)], ids=["remove", "add", "new lost", "moved lost"]
)
def test_a_change_that_fails_half_way_leaves_the_peers_as_they_were(
    fault: Callable[[FakeWg], Callable[[list[str]], None]],
) -> None:
    runner = node(before_it)
    runner.peers[A][1] = "172.30.11.5:40000"
    runner.before = fault(runner)
    with pytest.raises(RolledBack, match="as before"):
        run(runner, asked_for)
    assert WireGuard("wg0", runner).read().addresses == before_it
    # A removed peer comes back with the place it was last seen at, so that traffic to it goes on.
    assert runner.peers[A][1] == "172.30.11.5:40000"


def test_a_read_back_that_lies_once_is_not_believed() -> None:
    runner = node(before_it)
    lies = iter([False, True])

    def dump(text: str) -> str:
        if runner.changing and next(lies, False):
            return text.replace("10.77.0.4/32", "10.77.0.9/32")
        return text

    runner.dump = dump
    next(lies)
    with pytest.raises(RolledBack, match=r"1 of 2 peers were not as asked"):
        run(runner, asked_for)
    assert WireGuard("wg0", runner).read().addresses == before_it


def test_untouched_peers_are_read_back_as_well() -> None:
    runner = node({A: "10.77.0.2", B: "10.77.0.3"})
    runner.before = _vanish(A)(runner)
    with pytest.raises(RolledBack):
        run(runner, {A: "10.77.0.2", B: "10.77.0.3", C: "10.77.0.4"})
    assert WireGuard("wg0", runner).read().addresses == {A: "10.77.0.2", B: "10.77.0.3"}


def test_when_the_way_back_fails_too_it_is_said() -> None:
    runner = node(before_it)
    runner.before = _fail("addconf", times=2)(runner)
    with pytest.raises(RollbackFailed, match="could not be restored"):
        run(runner, asked_for)


def test_a_way_back_that_does_not_take_effect_is_said() -> None:
    runner = node(before_it)

    def before(command: list[str]) -> None:
        # Whatever is put, A is never there: somebody works against us.
        if command[1] == "show" and runner.changing:
            runner.peers.pop(A, None)

    runner.before = before
    with pytest.raises(RollbackFailed, match="1 still differ"):
        run(runner, {**before_it, C: "10.77.0.9"})


def test_peers_that_cannot_be_read_are_not_touched() -> None:
    runner = node(before_it)
    runner.dump = lambda text: text[:-1]
    with pytest.raises(Unreadable):
        run(runner, {})
    assert runner.changing == []


def test_a_list_that_gives_one_address_twice_is_refused_untouched() -> None:
    runner = node(before_it)
    with pytest.raises(ListRefused, match=r"10\.77\.0\.2 to two keys"):
        run(runner, {A: "10.77.0.2", C: "10.77.0.2"})
    assert runner.commands == []


def apply(runner: FakeWg, before: Mapping[str, str], after: Mapping[str, str]) -> None:
    apply_changes(diff(after, before), before, WireGuard("wg0", runner))


@given(lists, lists)
def test_the_changes_between_two_lists_lead_from_one_to_the_other(
    desired: dict[str, str], actual: dict[str, str]
) -> None:
    runner = node(actual)
    apply(runner, actual, desired)
    assert WireGuard("wg0", runner).read().addresses == desired
    assert len(runner.changing) <= 2


def test_no_change_is_no_call() -> None:
    runner = node(before_it)
    apply(runner, before_it, before_it)
    assert runner.commands == []


@pytest.mark.parametrize(
    ("actual", "after"),
    [
        ({A: "10.77.0.2"}, {A: "10.77.0.2"}),
        ({A: "10.77.0.9", B: "10.77.0.3"}, {B: "10.77.0.3"}),
        ({A: "10.77.0.2", B: "10.77.0.3", C: "10.77.0.9"}, {**before_it, C: "10.77.0.4"}),
        ({A: "10.77.0.2/32,10.0.0.0/8", B: "10.77.0.3"}, {B: "10.77.0.3"}),
        # Somebody unnamed has the address that a new peer is to get: WireGuard would take it away without a word.
        ({A: "10.77.0.2", B: "10.77.0.3/32,10.77.0.4/32"}, {**before_it, C: "10.77.0.4"}),
    ],
    ids=["lost", "moved", "there already", "more than its address", "address of another"],
)
def test_peers_that_are_not_as_they_were_left_are_not_touched(actual: dict[str, str], after: dict[str, str]) -> None:
    runner = node(actual)
    with pytest.raises(Drifted):
        apply(runner, before_it, after)
    assert runner.changing == []


@pytest.mark.parametrize(
    "fault", [_fail("set"), _fail("addconf"), _vanish(C), _vanish(B)], ids=["remove", "add", "new lost", "moved lost"]
)
def test_a_small_change_that_fails_half_way_leaves_the_peers_as_they_were(
    fault: Callable[[FakeWg], Callable[[list[str]], None]],
) -> None:
    runner = node(before_it)
    runner.peers[A][1] = "172.30.11.5:40000"
    runner.before = fault(runner)
    with pytest.raises(RolledBack, match="as before"):
        apply(runner, before_it, asked_for)
    assert WireGuard("wg0", runner).read().addresses == before_it
    assert runner.peers[A][1] == "172.30.11.5:40000"


def test_when_the_way_back_of_a_small_change_fails_too_it_is_said() -> None:
    runner = node(before_it)
    runner.before = _fail("addconf", times=2)(runner)
    with pytest.raises(RollbackFailed, match="could not be restored"):
        apply(runner, before_it, asked_for)


def test_a_change_that_gives_one_address_twice_is_refused_untouched() -> None:
    runner = node(before_it)
    with pytest.raises(ListRefused, match="to two keys"):
        apply_changes(Changes(add={C: "10.77.0.9", key("d"): "10.77.0.9"}), before_it, WireGuard("wg0", runner))
    assert runner.commands == []


def test_a_peer_has_its_address_in_both_families() -> None:
    subnets = Subnets(IPv4Network("10.77.0.0/16"), IPv6Network("fd77::/64"))
    runner = node({A: "10.77.0.2", B: "10.77.0.3/32,fd77::9/128"})
    device = WireGuard("wg0", runner, subnets)
    desired = {A: "10.77.0.2", B: "10.77.0.3", C: "10.77.1.4"}
    # One that has its IPv4 address alone, or another's IPv6 address, is not as it should be.
    assert reconcile(desired, device).changes == Changes(add={C: "10.77.1.4"}, move={A: "10.77.0.2", B: "10.77.0.3"})
    assert runner.peers[C][2] == "10.77.1.4/32,fd77::104/128"
    assert device.read().addresses == desired
    assert not reconcile(desired, device).changes
