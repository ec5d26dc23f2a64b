"""A bridge over real sockets: what crosses, what is refused, and what is left of those who misbehave."""

from __future__ import annotations

import json
import random
import re
import socket
import struct
import time
from contextlib import ExitStack, suppress

import pytest

from tests.integration.tunnel.conftest import Bridge, Lab, address_of, bridge_port, eventually

pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

# What Mullvad's udp2tcp writes for the datagrams "berth", 300 bytes of 0xab and one of 0xff, byte for byte.
of_mullvad = b"\x00\x05berth" + b"\x01\x2c" + b"\xab" * 300 + b"\x00\x01\xff"


def connect(bridge: Bridge) -> socket.socket:
    return socket.create_connection((bridge.address, bridge_port), timeout=5)


def read_exactly(connection: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        part = connection.recv(size - len(found))
        assert part, f"closed after {len(found)} of {size} bytes"
        found += part
    return found


def answers(connection: socket.socket, datagram: bytes = b"still here") -> bool:
    connection.sendall(struct.pack(">H", len(datagram)) + datagram)
    return read_exactly(connection, len(datagram) + 2)[2:] == datagram


def is_closed(connection: socket.socket, seconds: float = 5) -> bool:
    connection.settimeout(seconds)
    try:
        while connection.recv(65536):
            pass
    except ConnectionError:
        return True
    except TimeoutError:
        return False
    return True


def drip(connection: socket.socket, stream: bytes) -> None:
    """A byte now and then, until the other side closes; AssertionError where it takes them all."""
    for byte in stream:
        try:
            connection.sendall(bytes([byte]))
        except ConnectionError:
            return
        time.sleep(0.1)
    raise AssertionError("it took every byte")


def test_the_frames_of_mullvad_cross_byte_for_byte(lab: Lab) -> None:
    server = lab.server(lab.echo())
    server.await_ready()
    with connect(server) as connection:
        connection.sendall(of_mullvad)
        assert read_exactly(connection, len(of_mullvad)) == of_mullvad
        for size in (1, 1452, 1473, 65507):
            assert answers(connection, random.randbytes(size))
        # An answer may be half a second old.
        eventually(lambda: server.stats()["totals"]["toTcp"]["datagrams"] == 7, "all is counted")
        shown = server.stats()
        assert shown["open"] == 1
        assert (shown["connections"][0]["toUdp"]["datagrams"], shown["connections"][0]["toUdp"]["lost"]) == (7, 0)
        assert 0 < shown["connections"][0]["tcp"]["rtt"] < 1000
        metrics = server.get("/metrics").text
        assert 'bridge_datagrams_total{direction="tcp_to_udp"} 7.0' in metrics
        assert re.search(r'bridge_connection_rtt_seconds\{connection="0"\} [0-9.e-]+', metrics)
        # Who it was stands nowhere.
        mine = connection.getsockname()[0]
        assert mine not in json.dumps(shown["connections"]) + metrics + server.logs()


def test_who_misbehaves_is_closed_and_nothing_is_left(lab: Lab) -> None:
    server = lab.server(lab.echo(), FRAME_TIMEOUT="1", FIRST_TIMEOUT="1", MAX_PER_ADDRESS="20")
    server.await_ready()
    noise = random.Random(1)
    with ExitStack() as stack:
        other = stack.enter_context(connect(server))
        assert answers(other)
        for sent in (b"\xff\xff\x00", b"\x00", b"\x00\x05ber", b"", b"\x00\x00" * 1000 + b"\xff\xff"):
            wrong = stack.enter_context(connect(server))
            wrong.sendall(sent)
            assert is_closed(wrong), sent[:8]
            assert answers(other)
        # A byte now and then keeps no frame open.
        slow = stack.enter_context(connect(server))
        started = time.monotonic()
        drip(slow, b"\x00\x40" + b"x" * 64)
        assert time.monotonic() - started < 4

        resident, descriptors = server.program()
        for _ in range(300):
            with connect(server) as abuser:
                abuser.sendall(noise.randbytes(noise.randrange(1, 4000)))
        assert answers(other)
        eventually(lambda: bool(server.stats()["open"] == 1), "only the other one is open")
        later = server.program()
        assert later[1] <= descriptors
        assert later[0] < resident + 20 * 1024
        assert set(server.stats()["closed"]) >= {"oversize", "truncated", "frame timeout", "first timeout"} - {
            "truncated"
        }

        for _ in range(25):
            # Those above the limit may be closed before they know that they were let in.
            with suppress(ConnectionError):
                stack.enter_context(connect(server))
        eventually(lambda: server.stats()["refused"].get("too many of one address", 0) >= 6, "the limit holds")
        assert answers(other)


def test_only_a_bridge_whose_node_is_well_takes_clients(lab: Lab) -> None:
    answer = (
        "import http.server, pathlib\n"
        "class Health(http.server.BaseHTTPRequestHandler):\n"
        "    def do_GET(self):\n"
        "        self.send_response(200 if pathlib.Path('/tmp/well').exists() else 503)\n"
        "        self.end_headers()\n"
        "http.server.HTTPServer(('0.0.0.0', 8080), Health).serve_forever()\n"
    )
    node = lab.run(lab.image, ["python", "-c", answer], stop_signal="SIGKILL")
    url = f"http://{address_of(node, lab.network)}:8080"
    server = lab.server(lab.echo(), NODE_URL=url)
    server.await_ready(False)
    assert server.get("/health").json()["checks"]["node"]["ok"] is False
    with pytest.raises(ConnectionRefusedError):
        connect(server)

    node.exec_run(["touch", "/tmp/well"])
    server.await_ready()
    with connect(server) as client:
        assert answers(client)
        node.exec_run(["rm", "/tmp/well"])
        assert is_closed(client, 10)
    with pytest.raises(ConnectionRefusedError):
        connect(server)
    server.await_ready(False)
    assert server.stats()["refusal"] == "the node is not well"

    node.exec_run(["touch", "/tmp/well"])
    server.await_ready()
    # A program that is started anew is told anew.
    server.run("python", "-c", "import os, pathlib, signal\n" + _kill_program)
    eventually(lambda: server.stats()["programStarts"] == 2 and takes(server), "it takes clients again")


def takes(server: Bridge) -> bool:
    """Whether a client is let in and answered."""
    try:
        with connect(server) as client:
            return answers(client)
    except ConnectionRefusedError:
        return False


_kill_program = (
    "for p in pathlib.Path('/proc').glob('[0-9]*'):\n"
    "    if p.joinpath('comm').read_text().startswith('berth-bridge'):\n"
    "        os.kill(int(p.name), signal.SIGKILL)\n"
)


def test_a_bridge_is_no_open_relay(lab: Lab) -> None:
    elsewhere = lab.echo()
    refused = lab.server(elsewhere, ALLOW_TARGETS="192.0.2.0/24:51820")
    eventually(lambda: "not in the list of allowed targets" in refused.logs(), "it does not start")
    # A name that comes to mean another address than the list allows is not followed.
    name = lab.run(lab.image, ["sleep", "infinity"], stop_signal="SIGKILL").name
    server = lab.server(f"{name}:9000", ALLOW_TARGETS="192.0.2.0/24:9000")
    eventually(lambda: "the target cannot be used" in server.logs(), "it says so")
    eventually(lambda: '"listening"' in server.logs(), "it listens")
    server.await_ready(False)
    try:
        with connect(server) as client:
            client.sendall(of_mullvad)
            assert is_closed(client)
    except ConnectionResetError:
        pass  # closed before it was even known to be open


def test_an_end_is_orderly(lab: Lab) -> None:
    server = lab.server(lab.echo())
    server.await_ready()
    with connect(server) as client:
        assert answers(client)
        started = time.monotonic()
        server.container.stop(timeout=10)
        assert time.monotonic() - started < 6
        assert is_closed(client)
    assert server.container.wait()["StatusCode"] == 0
    assert '"event":"stopped"' in server.logs()


def test_wrong_settings_are_told_and_end_it(lab: Lab) -> None:
    made = lab.bridge({"BRIDGE_END": "tcp2udp", "MAX_CONNECTIONS": "many"})
    assert made.container.wait(timeout=30)["StatusCode"] == 2
    assert "MAX_CONNECTIONS is 'many'" in made.logs()
