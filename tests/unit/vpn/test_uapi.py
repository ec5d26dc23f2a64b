"""The control socket: what is sent, and that no answer but a whole one is believed."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from berth.vpn.errors import CommandFailed, NodeError, Unreadable
from berth.vpn.peer import Traffic
from berth.vpn.uapi import Uapi, hex_key, parse_peers
from berth.vpn.wireguard import Peer, WireGuard
from tests.unit.vpn.fakes import FakeWg, key

zero = "0" * 64
device = f"version=v1\npublic_key={hex_key(key('node'))}\nlisten_port=51820\nerrno=0\n\n"


def block(name: str, *allowed: str, **values: str) -> str:
    fields = {
        "preshared_key": zero,
        "endpoint": "172.30.11.5:40000",
        "last_handshake_time_sec": "1700000000",
        "tx_bytes": "180",
        "rx_bytes": "92",
        "persistent_keepalive_interval": "0",
        **values,
    }
    lines = [f"public_key={hex_key(key(name))}", *(f"{k}={v}" for k, v in fields.items() if v)]
    return "\n".join([*lines, *(f"allowed_ip={one}" for one in allowed)]) + "\n"


two = block("a", "10.77.0.2/32", "fd77::2/128") + block("b", endpoint="", preshared_key=hex_key(key("psk")))


class Server:
    """Listens as a wireguard-go does; ``answers`` by the first line of what it is asked."""

    def __init__(self, path: Path, answers: dict[str, str]) -> None:
        self.answers, self.asked = answers, list[str]()
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen()
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except OSError:
                return
            with connection, connection.makefile("rb") as reader:
                lines = []
                while (line := reader.readline().decode()) not in ("\n", ""):
                    lines.append(line)
                self.asked.append("".join(lines))
                connection.sendall(self.answers.get(lines[0].strip(), "").encode())

    def close(self) -> None:
        self._socket.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def make(**answers: str) -> Server:
        made.append(Server(tmp_path / "wg0.sock", {f"{name}=1": text for name, text in answers.items()}))
        return made[-1]

    yield make
    for server in made:
        server.close()


def test_peers_are_read_in_full() -> None:
    peers = parse_peers(two)
    assert peers[key("a")] == Peer(key("a"), ("10.77.0.2/32", "fd77::2/128"), "172.30.11.5:40000")
    assert (peers[key("a")].handshake, peers[key("a")].received, peers[key("a")].sent) == (1700000000, 92, 180)
    assert peers[key("b")] == Peer(key("b"), (), "", key("psk"))
    assert parse_peers("") == {}


@pytest.mark.parametrize(
    "text",
    [
        "x\n" + two,
        two + two,
        two + "surprise=1\n",
        two[:-1],
        two.replace("tx_bytes=180\n", "", 1),
        two.replace("tx_bytes=180\n", "tx_bytes=180\ntx_bytes=180\n", 1),
        two.replace("tx_bytes=180", "tx_bytes=many", 1),
        two.replace(hex_key(key("a")), hex_key(key("a"))[2:]),
        block("a", "10.77.0.2/32", "10.77.0.2/32"),
    ],
)
def test_whatever_is_not_whole_peers_is_refused(text: str) -> None:
    with pytest.raises(Unreadable) as refused:
        parse_peers(text)
    assert hex_key(key("psk")) not in str(refused.value)


@given(st.integers(min_value=0, max_value=len(two + "errno=0\n\n") - 1))
def test_an_answer_cut_anywhere_is_refused(at: int) -> None:
    class Cut(Uapi):
        def _exchange(self, request: str) -> str:
            return (two + "errno=0\n\n")[:at]

    with pytest.raises(Unreadable):
        Cut("wg0").ask("peers")


def test_our_own_build_is_asked_for_what_is_named_and_no_more(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(device=device, peers=two + "errno=0\n\n", set="errno=0\n\n")
    runner, control = FakeWg(), Uapi("wg0", tmp_path)
    wireguard = WireGuard("wg0", runner, socket=control)
    assert (control.version(), control.identity()) == ("v1", (key("node"), 51820))
    assert wireguard.lookup([key("a")], ["10.77.0.2/32"]).keys() == {key("a"), key("b")}
    wireguard.change([key("b")], [Peer(key("a"), ("10.77.0.9/32",), "1.2.3.4:5", key("psk"), 25)])
    wireguard.change()
    assert server.asked[-2] == f"peers=1\npublic_key={hex_key(key('a'))}\nallowed_ip=10.77.0.2/32\n"
    assert server.asked[-1].splitlines() == [
        "set=1",
        f"public_key={hex_key(key('b'))}",
        "remove=true",
        f"public_key={hex_key(key('a'))}",
        f"preshared_key={hex_key(key('psk'))}",
        "endpoint=1.2.3.4:5",
        "persistent_keepalive_interval=25",
        "replace_allowed_ips=true",
        "allowed_ip=10.77.0.9/32",
    ]
    assert runner.commands == []


def test_another_wireguard_go_is_read_in_whole(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(set="errno=0\n\n")
    runner = FakeWg()
    runner.add(key("a"), "10.77.0.2/32")
    runner.add(key("b"), "10.77.0.3/32")
    wireguard = WireGuard("wg0", runner, socket=Uapi("wg0", tmp_path))
    assert wireguard.lookup([key("a")]).keys() == {key("a")}
    assert wireguard.lookup([], ["10.77.0.3/32"]).keys() == {key("b")}
    # What it is was asked once, not each time.
    assert [asked for asked in server.asked if asked.startswith("device")] == ["device=1\n"]


@pytest.mark.parametrize("answer", ["errno=-22\n\n", "", "errno=0\n", "errno="])
def test_a_refused_change_is_an_error(serve: Callable[..., Server], tmp_path: Path, answer: str) -> None:
    serve(set=answer)
    with pytest.raises(CommandFailed):
        WireGuard("wg0", FakeWg(), socket=Uapi("wg0", tmp_path)).change(remove=[key("a")])


def test_a_socket_that_nobody_listens_at_is_an_error(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as gone:
        gone.bind(str(tmp_path / "wg0.sock"))
    with pytest.raises(NodeError, match="cannot be reached"):
        WireGuard("wg0", FakeWg(), socket=Uapi("wg0", tmp_path)).lookup([key("a")])


def test_who_had_a_session_and_has_none_is_called_where_it_was_last(
    serve: Callable[..., Server], tmp_path: Path
) -> None:
    server = serve(set="errno=0\n\n")
    runner = FakeWg()
    for name in ("a", "b"):
        runner.add(key(name), "10.77.0.2/32")
    wireguard = WireGuard("wg0", runner, socket=Uapi("wg0", tmp_path))
    newest = f"public_key={hex_key(key('a'))}\nendpoint=172.30.11.5:40000\n"
    older = f"{key('a')}\t172.30.11.5:1\n{key('gone')}\t172.30.11.6:2\n{key('b')}\t(none)\n"
    assert wireguard.wake(["", newest, older]) == 1
    assert wireguard.wake([]) == 0
    assert [asked.splitlines()[1:] for asked in server.asked] == [
        [
            f"public_key={hex_key(key('a'))}",
            "update_only=true",
            "endpoint=172.30.11.5:40000",
            f"persistent_keepalive_interval={seconds}",
        ]
        for seconds in (25, 0)
    ]


def test_traffic_is_of_those_who_were_heard_of(serve: Callable[..., Server], tmp_path: Path) -> None:
    heard = f"public_key={hex_key(key('a'))}\nlast_handshake_time_sec=1700000000\ntx_bytes=180\nrx_bytes=92\n"
    server = serve(device=device, traffic=f"peers=3\n{heard}errno=0\n\n")
    wireguard = WireGuard("wg0", FakeWg(), socket=Uapi("wg0", tmp_path))
    assert wireguard.traffic() == (3, {key("a"): Traffic(1700000000, received=92, sent=180)})
    for wrong in ("", heard, f"peers=3\n{heard}{heard}", f"peers=0\n{heard}", "peers=1\n" + heard[:-3], "peers=x\n"):
        server.answers["traffic=1"] = wrong + "errno=0\n\n"
        with pytest.raises(Unreadable):
            wireguard.traffic()


def test_a_fingerprint_comes_in_256_parts(serve: Callable[..., Server], tmp_path: Path) -> None:
    server = serve(device=device, fingerprint="".join(f"part={'0' * 64}\n" for _ in range(256)) + "errno=0\n\n")
    wireguard = WireGuard("wg0", FakeWg(), socket=Uapi("wg0", tmp_path))
    assert wireguard.fingerprint() == ("0" * 64,) * 256
    server.answers["fingerprint=1"] = f"part={'0' * 64}\nerrno=0\n\n"
    with pytest.raises(Unreadable):
        wireguard.fingerprint()
