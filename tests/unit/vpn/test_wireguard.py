"""The parser of dumps, and the commands that changes become."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.vpn.errors import Unreadable
from berth.vpn.wireguard import Peer, WireGuard, parse_dump, removal_chunk
from tests.unit.vpn.fakes import FakeWg, key

head = "\t".join([key("private"), key("node"), "51820", "off"])


def line(name: str = "a", allowed: str = "10.77.0.2/32", **fields: str) -> str:
    values = {
        "key": key(name),
        "preshared": "(none)",
        "endpoint": "172.30.11.5:40000",
        "allowed": allowed,
        "handshake": "1700000000",
        "received": "92",
        "sent": "180",
        "keepalive": "off",
        **fields,
    }
    return "\t".join(values.values())


def dump(*lines: str) -> str:
    return "\n".join([head, *lines]) + "\n"


def test_a_dump_is_read_in_full() -> None:
    device = parse_dump(dump(line(), line("b", "10.77.0.3/32,fd00::3/128", endpoint="[fd00::1]:5", keepalive="25")))
    assert (device.public_key, device.port) == (key("node"), 51820)
    assert device.peers[key("a")] == Peer(key("a"), ("10.77.0.2/32",), "172.30.11.5:40000")
    assert device.peers[key("a")].handshake == 1700000000
    assert (device.peers[key("a")].received, device.peers[key("a")].sent) == (92, 180)
    assert device.peers[key("b")].allowed == ("10.77.0.3/32", "fd00::3/128")
    assert device.peers[key("b")].keepalive == 25


def test_an_interface_without_peers_or_key_is_read() -> None:
    assert parse_dump(head + "\n").peers == {}
    assert parse_dump("(none)\t(none)\t0\toff\n").public_key == ""


@pytest.mark.parametrize(
    ("allowed", "preshared", "address"),
    [
        ("10.77.0.2/32", "(none)", "10.77.0.2"),
        ("(none)", "(none)", "(none)"),
        ("10.77.0.2/31", "(none)", "10.77.0.2/31"),
        ("10.77.0.2/32,0.0.0.0/0", "(none)", "10.77.0.2/32,0.0.0.0/0"),
        ("10.77.0.2/32", key("psk"), "10.77.0.2/32 with a preshared key"),
    ],
)
def test_only_what_the_access_list_would_make_counts_as_its_address(allowed: str, preshared: str, address: str) -> None:
    assert parse_dump(dump(line(allowed=allowed, preshared=preshared))).addresses == {key("a"): address}


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "cut off"),
        (dump(line())[:-1], "cut off"),
        ("\n", "line 1"),
        (head + "\t\n", "line 1"),
        ("x\ty\tz\toff\n", "line 1"),
        (dump(""), "line 2"),
        (dump(line(), "", line("b", "10.77.0.3/32")), "line 3"),
        (dump(line().rsplit("\t", 1)[0]), "line 2 of the dump of peers has 7"),
        (dump(line() + "\t0"), "line 2 of the dump of peers has 9"),
        (dump(line(key="short")), "line 2"),
        (dump(line(key=key("a")[:-2] + "B=")), "line 2"),
        (dump(line(preshared="")), "line 2"),
        (dump(line(endpoint="nowhere")), "line 2"),
        (dump(line(allowed="")), "line 2"),
        (dump(line(allowed="10.77.0.2")), "line 2"),
        (dump(line(allowed="10.77.0.2/32,10.77.0.2/32")), "line 2"),
        (dump(line(handshake="-1")), "line 2"),
        (dump(line(received="many")), "line 2"),
        (dump(line(keepalive="")), "line 2"),
        (dump(line(), line()), "repeats"),
        (dump(line(), line("b")), "same address"),
    ],
)
def test_whatever_is_not_a_whole_dump_is_refused(text: str, says: str) -> None:
    with pytest.raises(Unreadable, match=says) as refused:
        parse_dump(text)
    # Dumps hold private and preshared keys.
    assert key("private") not in str(refused.value)


@given(st.integers(min_value=0, max_value=len(dump(line(), line("b", "10.77.0.3/32"))) - 1))
def test_a_dump_cut_anywhere_never_reads_as_the_whole(at: int) -> None:
    whole = dump(line(), line("b", "10.77.0.3/32"))
    runner = FakeWg(dump=lambda _: whole[:at])
    runner.peers = {
        key("a"): ["(none)", "(none)", "10.77.0.2/32", "off"],
        key("b"): ["(none)", "(none)", "(none)", "off"],
    }
    with pytest.raises(Unreadable):
        WireGuard("wg0", runner).read()


@given(st.text(alphabet="\t\n ab=/+(none)0123456789.,:", max_size=400))
def test_garbage_is_refused_or_is_a_dump(text: str) -> None:
    try:
        device = parse_dump(text)
    except Unreadable:
        return
    assert len(device.peers) == text.count("\n") - 1


def test_a_peer_changed_between_the_two_questions_is_asked_for_again() -> None:
    runner = FakeWg()
    runner.add(key("a"), "10.77.0.2/32")

    def somebody(command: list[str]) -> None:
        if command[-1] == "peers" and key("b") not in runner.peers:
            runner.add(key("b"), "10.77.0.3/32")

    runner.before = somebody
    assert WireGuard("wg0", runner).read().addresses == {key("a"): "10.77.0.2", key("b"): "10.77.0.3"}


def test_no_change_means_no_command() -> None:
    runner = FakeWg()
    WireGuard("wg0", runner).change()
    assert runner.commands == []


def test_peers_are_put_in_one_command_from_standard_input() -> None:
    runner = FakeWg()
    WireGuard("wg0", runner).change(put=[Peer(key(n), (f"10.77.0.{n}/32",)) for n in (2, 3)])
    assert runner.commands == [["wg", "addconf", "wg0", "/dev/stdin"]]
    none = "A" * 43 + "="
    assert runner.inputs == [
        f"[Peer]\nPublicKey = {key(2)}\nPresharedKey = {none}\nAllowedIPs = 10.77.0.2/32\n"
        f"[Peer]\nPublicKey = {key(3)}\nPresharedKey = {none}\nAllowedIPs = 10.77.0.3/32\n"
    ]


@pytest.mark.parametrize("count", [1, removal_chunk, removal_chunk + 1, 3 * removal_chunk])
def test_peers_are_removed_in_chunks_before_others_are_put(count: int) -> None:
    runner = FakeWg()
    keys = [key(n) for n in range(count)]
    WireGuard("wg0", runner).change(remove=keys, put=[Peer(key("new"), ("10.77.0.2/32",))])
    *removals, put = runner.commands
    assert put[1] == "addconf"
    assert [word for command in removals for word in command[3:]] == [w for k in keys for w in ("peer", k, "remove")]
    # One argument list may hold 2 MiB, one argument 128 KiB; stay far below.
    assert all(len(" ".join(command)) < 40_000 for command in removals)


def test_a_restored_peer_gets_back_all_that_it_had() -> None:
    runner = FakeWg()
    peer = Peer(key("a"), ("10.77.0.2/32", "10.9.0.0/16"), "172.30.11.5:4", key("psk"), 25)
    WireGuard("wg0", runner).change(put=[peer])
    assert runner.inputs[0].splitlines() == [
        "[Peer]",
        f"PublicKey = {key('a')}",
        f"PresharedKey = {key('psk')}",
        "AllowedIPs = 10.77.0.2/32, 10.9.0.0/16",
        "Endpoint = 172.30.11.5:4",
        "PersistentKeepalive = 25",
    ]
    assert key("psk") not in repr(peer)


@pytest.mark.parametrize(
    "bend", [lambda t: t.rsplit("\n", 2)[0] + "\n", lambda t: t + line("z", "10.77.9.9/32") + "\n"]
)
def test_a_dump_that_disagrees_with_the_list_of_keys_is_refused(bend: Callable[[str], str]) -> None:
    runner = FakeWg(dump=bend)
    runner.add(key("a"), "10.77.0.2/32")
    runner.add(key("b"), "10.77.0.3/32")
    with pytest.raises(Unreadable, match="nothing was changed"):
        WireGuard("wg0", runner).read()
