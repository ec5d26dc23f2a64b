"""``berth tunnel``: which bridges in which order, what fits through, and what becomes of the interface's peers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import pytest

from berth.access.client.tunnel.bridges import Bridge, mtu, nudge, ordered
from berth.access.client.tunnel.keeper import Keeper, choose, status_of
from berth.access.client.tunnel.peers import Interface, NoInterface
from berth.access.client.tunnel.program import Program
from berth.kit.client import ClientError, Unreachable

A, B, C = (letter * 43 + "=" for letter in "ABC")
a1, a2 = Bridge("a.example:443", "node-a", A), Bridge("a.example:444", "node-a", A)
b1, c1 = Bridge("b.example:443", "node-b", B), Bridge("[2001:db8::c]:443", "node-c", C)


# ---------------------------------------------------------------- which, and how large


@pytest.mark.parametrize(
    ("own", "endpoints", "expected"),
    [
        (1500, [], 1500 - 20 - 20 - 12 - 2 - 32),
        (1420, ["a.example:443", "192.0.2.1:443"], 1414),
        (1420, ["a.example:443", "[2001:db8::1]:443"], 1394),
        (1380, ["a.example:443"], 1380),  # the stack's own is smaller
        (1280, ["[2001:db8::1]:443"], 1280),
    ],
)
def test_a_full_packet_travels_in_one_segment(own: int, endpoints: list[str], expected: int) -> None:
    assert mtu(own, endpoints) == expected


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [
        (["10.77.0.1/32", "fd77::1/128"], "10.77.0.1:9"),
        (["10.77.0.0/16"], "10.77.0.1:9"),
        (["fd77::1/128"], "[fd77::1]:9"),
        (["", "nonsense"], ""),
        ([], ""),
    ],
)
def test_the_node_itself_is_where_a_byte_may_go(allowed: list[str], expected: str) -> None:
    assert nudge(allowed) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vpn.example:443", Bridge("vpn.example:443")),
        ("node-1=192.0.2.1:443", Bridge("192.0.2.1:443", "node-1")),
        ("[2001:db8::1]:443", Bridge("[2001:db8::1]:443")),
    ],
)
def test_a_bridge_as_people_write_it(text: str, expected: Bridge) -> None:
    assert Bridge.parse(text) == expected


@pytest.mark.parametrize("text", ["", "vpn.example", ":443", "a:0", "a:65536", "=a:443", "a b:443", "2001:db8::1:443"])
def test_what_is_no_bridge(text: str) -> None:
    with pytest.raises(ClientError, match=r"host:port is, or node=host:port"):
        Bridge.parse(text)


def test_those_of_the_node_come_first_and_others_only_where_the_interface_may_move() -> None:
    assert ordered([b1, a1, c1, a2], "node-a") == [a1, a2, b1, c1]
    assert choose([b1, a1, c1, a2], "node-a", anywhere=True) == [a1, a2, b1, c1]
    assert choose([b1, a1, c1, a2], "node-a", anywhere=False) == [a1, a2]
    assert choose([b1], "node-a", anywhere=False) == []


# ---------------------------------------------------------------- the interface


class Wg:
    """``wg`` for one interface: peers as its dump shows them."""

    def __init__(self, **allowed: str) -> None:
        self.allowed = {{"A": A, "B": B, "C": C, "X": "X" * 43 + "="}[name]: ips for name, ips in allowed.items()}
        self.commands: list[list[str]] = []

    def __call__(self, arguments: Sequence[str]) -> str:
        if arguments[0] == "show":
            rows = [
                [key, "(none)", "127.0.0.1:51888", ips or "(none)", "0", "0", "0", "25" if ips else "off"]
                for key, ips in self.allowed.items()
            ]
            return "".join("\t".join(row) + "\n" for row in [["PRIVATE", "PUBLIC", "51000", "off"], *rows])
        self.commands.append(list(arguments))
        peer, words = "", iter(arguments[2:])
        for word in words:
            if word == "peer":
                peer = next(words)
            elif word == "allowed-ips":
                self.allowed[peer] = next(words)
        return ""


def test_the_allowed_ips_go_to_the_other_peer_in_one_command() -> None:
    wg = Wg(A="10.77.0.1/32,fd77::1/128", B="", X="192.0.2.0/24")
    interface = Interface("berth", wg)
    assert interface.holder([A, B]) == A
    assert interface.move(B, [A, B], "127.0.0.1:51888")
    assert interface.holder([A, B]) == B
    (command,) = wg.commands
    assert command == [
        "set", "berth", "peer", A, "allowed-ips", "", "persistent-keepalive", "off",
        "peer", B, "endpoint", "127.0.0.1:51888", "allowed-ips", "10.77.0.1/32,fd77::1/128",
        "persistent-keepalive", "25",
    ]  # fmt: skip
    assert wg.allowed["X" * 43 + "="] == "192.0.2.0/24"  # no node's: none of our business
    assert not interface.move(B, [A, B], "127.0.0.1:51888")
    assert len(wg.commands) == 1


def test_a_peer_that_the_configuration_does_not_name_is_never_made() -> None:
    wg = Wg(A="10.77.0.1/32")
    with pytest.raises(ClientError, match="does not hold the node to move to"):
        Interface("berth", wg).move(B, [A, B], "127.0.0.1:51888")
    assert wg.commands == []


# ---------------------------------------------------------------- together


def stats(node: str = "", address: str = "", **changes: Any) -> dict[str, Any]:
    flow = {"datagrams": 1, "bytes": 100, "dropped": 2, "lost": 1}
    return {
        "active": {"node": node, "address": address} if address else None,
        "endpoints": [{"address": "a.example:443", "fault": "does not answer"}, {"address": "b.example:443"}],
        "connections": [{"tcp": {"rtt": 12.5}}] if address else [],
        "failovers": 3,
        "totals": {"toTcp": flow, "toUdp": {**flow, "bytes": 50}},
        **changes,
    }


class Running:
    """The program, as told."""

    def __init__(self, *bridges: Bridge) -> None:
        self.bridges: list[Bridge] = list(bridges)
        self.said: Mapping[str, Any] = stats()

    def stats(self) -> Mapping[str, Any]:
        return self.said

    def use(self, bridges: Sequence[Bridge]) -> bool:
        changed = list(bridges) != self.bridges
        self.bridges = list(bridges)
        return changed


def keeper(
    running: Running, found: Callable[[], Sequence[Bridge]], wg: Wg | None, said: list[str] | None = None
) -> Keeper:
    interface = Interface("berth", wg) if wg else None
    say = (said if said is not None else []).append
    made = Keeper(cast(Program, running), found, "node-a", "127.0.0.1:51888", interface, say)
    made.learn([a1, a2, b1, c1])
    return made


def test_what_the_program_says_becomes_what_people_see() -> None:
    status = status_of(stats("node-b", "b.example:443"), "node-b")
    assert (status.node, status.endpoint, status.rtt) == ("node-b", "b.example:443", 12.5)
    assert (status.sent, status.received, status.dropped, status.failovers) == (100, 50, 6, 3)
    assert status.faults == {"a.example:443": "does not answer"}
    assert status.carries
    assert not status_of(stats("node-b", "b.example:443"), "node-a").carries
    assert status_of(stats()).waiting


def test_the_interface_follows_to_another_nodes_bridge_and_back_but_not_between_those_of_one() -> None:
    running, wg, said = Running(a1, a2, b1), Wg(A="10.77.0.1/32", B=""), list[str]()
    kept = keeper(running, lambda: [a1, a2, b1], wg, said)
    assert kept.step().peer is None  # nothing is in use yet
    for bridge in (a1, a2):
        running.said = stats("node-a", bridge.endpoint)
        assert kept.step().peer == "node-a"
    assert wg.commands == []
    running.said = stats("node-b", b1.endpoint)
    assert kept.step().peer == "node-b"
    assert wg.allowed == {A: "", B: "10.77.0.1/32"}
    running.said = stats("node-a", a1.endpoint)
    assert kept.step().peer == "node-a"
    assert wg.allowed == {A: "10.77.0.1/32", B: ""}
    assert said == [f"moved to {node}: berth shakes hands with it anew" for node in ("node-b", "node-a")]


def test_what_cannot_be_moved_is_said_once() -> None:
    running, wg, said = Running(a1, b1), Wg(A="10.77.0.1/32"), list[str]()
    kept = keeper(running, lambda: [a1, b1], wg, said)
    running.said = stats("node-b", b1.endpoint)
    for _ in range(3):
        assert not kept.step().carries
    (text,) = said
    assert "does not hold the node to move to" in text


def test_an_interface_that_is_not_up_is_waited_for() -> None:
    class Down(Wg):
        def __call__(self, arguments: Sequence[str]) -> str:
            raise NoInterface("No such device")

    running, said = Running(a1), list[str]()
    kept = keeper(running, lambda: [a1], Down(), said)
    running.said = stats("node-a", a1.endpoint)
    assert kept.step().peer is None
    assert said == []


def test_the_list_is_taken_anew_and_kept_where_it_cannot_be() -> None:
    running, said, answers = Running(a1), list[str](), list[Any]()

    def source() -> Sequence[Bridge]:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        found: Sequence[Bridge] = answer
        return found

    kept = keeper(running, source, Wg(A="10.77.0.1/32"), said)
    answers += [[b1, a2, a1], [b1, a2, a1], Unreachable("no answer"), Unreachable("no answer"), [], [b1]]
    assert kept.refresh()
    assert running.bridges == [a2, a1, b1]
    assert not kept.refresh()
    assert not kept.refresh()
    assert not kept.refresh()
    assert said == ["the list of bridges cannot be read, so the last one stays: no answer"]
    assert not kept.refresh()  # none is well: those that are known may come back
    assert running.bridges == [a2, a1, b1]
    assert kept.refresh()
    assert running.bridges == [b1]


def test_without_an_interface_other_nodes_are_of_no_use() -> None:
    running = Running(a1)
    kept = keeper(running, lambda: [b1, a2, a1], None)
    assert kept.refresh()
    assert running.bridges == [a2, a1]
