"""Changes of peers on a real wireguard-go, and what they leave behind when they fail half-way or do not take."""

from __future__ import annotations

import secrets
import subprocess
import tempfile
import time
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import docker
import pytest
from docker.models.containers import Container

from berth.access.diff import Changes, diff
from berth.access.tunnel import Subnets
from berth.vpn.errors import CommandFailed, Drifted, ListRefused, RollbackFailed, RolledBack
from berth.vpn.fingerprint import Fingerprint, parse
from berth.vpn.reconcile import apply_changes, reconcile
from berth.vpn.uapi import Uapi
from berth.vpn.wireguard import Peer, WireGuard
from tests.integration.vpn.conftest import labels

# The first test of a session builds the images as well.
pytestmark = [pytest.mark.docker, pytest.mark.timeout(600)]

subnets = Subnets(IPv4Network("10.77.0.0/16"), IPv6Network("fd77::/64"))


def key(number: int) -> str:
    return b64encode(sha256(str(number).encode()).digest()).decode()


def members(*numbers: int) -> dict[str, str]:
    return {key(number): f"10.77.0.{number + 1}" for number in numbers}


class Faulty(WireGuard):
    """The real thing, in whose way a test may put something."""

    half: bool = False
    """The next change is carried out in part, and fails."""
    meddle: Sequence[str] = ()
    """What somebody does by hand right after the next change, as arguments of ``wg set wg0``."""
    calls: int = 0

    def change(self, remove: Iterable[str] = (), put: Iterable[Peer] = ()) -> None:
        self.calls += 1
        if self.half:
            self.half = False
            peers = list(put)
            super().change(list(remove), peers[: len(peers) // 2])
            # As it fails by itself: a line that it does not take, after others that it took.
            self._socket.set(["public_key=" + "ab" * 32, "allowed_ip=nowhere"])
        super().change(remove, put)
        if self.meddle:
            words, self.meddle = self.meddle, ()
            self._run(["wg", "set", self.name, *words])


@dataclass
class Lab:
    container: Container
    device: Faulty

    def run(self, command: Sequence[str], stdin: str = "") -> str:
        assert not stdin, "nothing here is put through standard input"
        # Docker's own command: the library may lose what comes together with the answer's head.
        done = subprocess.run(
            ["docker", "exec", str(self.container.id), *command], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise CommandFailed(f"{command[:3]}: {done.stdout}{done.stderr}")
        return done.stdout

    @property
    def peers(self) -> Mapping[str, str]:
        return self.device.read().addresses


@pytest.fixture(scope="module")
def running(daemon: docker.DockerClient, image: str) -> Iterator[Lab]:
    """The image's wireguard-go with its control socket in a folder of ours."""
    with tempfile.TemporaryDirectory(prefix="berth-test-") as folder:
        container = daemon.containers.run(
            image,
            ["wireguard-go", "--foreground", "wg0"],
            name=f"berth-test-{secrets.token_hex(3)}-apply",
            labels=labels,
            network_mode="none",
            cap_drop=["ALL"],
            cap_add=["NET_ADMIN"],
            devices=["/dev/net/tun"],
            volumes=[f"{folder}:/run/wireguard"],
            detach=True,
        )
        try:
            control = Uapi("wg0", Path(folder))
            deadline = time.monotonic() + 20
            while not control.present():
                assert time.monotonic() < deadline, container.logs().decode()
                time.sleep(0.02)
            lab = Lab(container, None)  # type: ignore[arg-type]  # set in the next line, which needs the lab
            lab.device = Faulty("wg0", lab.run, subnets, control)
            lab.run(["ip", "link", "set", "wg0", "up"])
            yield lab
        finally:
            container.remove(force=True)


@pytest.fixture
def lab(running: Lab) -> Lab:
    running.device.change(remove=running.device.read().peers)
    running.device.calls, running.device.half, running.device.meddle = 0, False, ()
    return running


def test_it_is_the_current_wireguard_go(lab: Lab) -> None:
    control = lab.device._socket
    assert control.ours()
    assert control.version().startswith("v0.0.0-2026")
    assert lab.run(["wireguard-go", "--version"]).strip() == control.version()


def test_changes_are_made_and_read_back_by_key(lab: Lab) -> None:
    before = members(1, 2, 3)
    reconcile(before, lab.device)
    after = {**members(2, 4), key(3): "10.77.0.2"}
    apply_changes(diff(after, before), before, lab.device)
    assert lab.peers == after
    assert lab.device.lookup([key(4), key(9)]).keys() == {key(4)}
    assert lab.device.lookup([], ["fd77::2/128"])[key(3)].allowed == ("10.77.0.2/32", "fd77::2/128")
    assert lab.device.lookup([], ["10.77.0.0/16"]) == {}


def test_nothing_to_change_is_no_call(lab: Lab) -> None:
    before = members(1, 2)
    reconcile(before, lab.device)
    made = lab.device.calls
    apply_changes(diff(before, before), before, lab.device)
    reconcile(before, lab.device)
    assert lab.device.calls == made


def test_the_fingerprint_is_that_of_the_peers_however_it_is_taken(lab: Lab) -> None:
    expected = Fingerprint()
    for number in range(1, 200):
        expected.put(key(number), subnets.allowed(f"10.77.0.{number + 1}"))
    reconcile(members(*range(1, 200)), lab.device)
    assert lab.device.fingerprint() == expected.parts()
    assert lab.device.traffic() == (199, {})
    # As it is taken where the peers are the kernel's, or another wireguard-go's.
    assert parse(lab.run(["python", "-m", "berth.vpn.fingerprint", "wg0"])) == expected.parts()
    script = "umask 077 && wg genpsk > /dev/shm/psk && wg set wg0 peer $0 preshared-key /dev/shm/psk"
    lab.run(["sh", "-c", script, key(7)])
    expected.put(key(7), subnets.allowed("10.77.0.8"), preshared=True)
    assert lab.device.fingerprint() == expected.parts()
    assert parse(lab.run(["python", "-m", "berth.vpn.fingerprint", "wg0"])) == expected.parts()


@pytest.mark.parametrize("whole", [True, False], ids=["in whole", "by key"])
@pytest.mark.parametrize(
    "meddle",
    [
        ["peer", key(5), "remove"],
        ["peer", key(5), "allowed-ips", "10.77.0.6/32"],
        ["peer", key(5), "allowed-ips", "10.77.0.6/32,fd77::6/128,0.0.0.0/0"],
        ["peer", key(2), "allowed-ips", "10.77.0.99/32"],
        ["peer", key(1), "allowed-ips", "10.77.0.2/32"],
        ["peer", key(77), "allowed-ips", "fd77::6/128"],
        [],
    ],
    ids=["lost", "half an address", "too much", "moved elsewhere", "removed one is back", "address taken", "half-way"],
)
def test_a_change_that_does_not_take_in_full_leaves_the_peers_as_they_were(
    lab: Lab, meddle: list[str], whole: bool
) -> None:
    before = members(1, 2, 3)
    after = {**members(3, 5, 6), key(2): "10.77.0.2"}
    reconcile(before, lab.device)
    place = ["peer", key(1), "endpoint", "192.0.2.1:4000"]
    lab.run(["wg", "set", "wg0", *place])
    lab.device.meddle, lab.device.half = meddle, not meddle

    def change() -> None:
        if whole:
            reconcile(after, lab.device)
        else:
            apply_changes(diff(after, before), before, lab.device)

    with pytest.raises(RolledBack, match="as before"):
        change()
    # A foreigner that nobody named is for the audit to find; its prefix has gone back all the same.
    assert {k: a for k, a in lab.peers.items() if k != key(77) and a != "(none)"} == before
    # A removed peer comes back with the place it was last seen at, so that traffic to it goes on.
    assert lab.device.lookup([key(1)])[key(1)].endpoint == "192.0.2.1:4000"


def test_a_daemon_that_dies_half_way_is_said(lab: Lab) -> None:
    class Dead(Faulty):
        def change(self, remove: Iterable[str] = (), put: Iterable[Peer] = ()) -> None:
            super().change(remove, put)
            self._socket = Uapi("wg9", Path("/nonexistent"))

    reconcile(members(1), lab.device)
    device = Dead("wg9", lab.run, subnets, lab.device._socket)
    with pytest.raises(RollbackFailed, match="could not be restored"):
        apply_changes(Changes(add=members(2)), members(1), device)


def test_what_is_not_as_it_was_left_is_not_touched(lab: Lab) -> None:
    before = members(1, 2)
    reconcile(before, lab.device)
    lab.run(["wg", "set", "wg0", "peer", key(50), "allowed-ips", "10.77.0.9/32"])
    made = lab.device.calls
    # Its address is to go to another: WireGuard would take it away from the foreigner without a word.
    with pytest.raises(Drifted):
        apply_changes(Changes(add=members(8)), before, lab.device)
    with pytest.raises(Drifted):
        apply_changes(Changes(remove=members(3)), {**before, **members(3)}, lab.device)
    with pytest.raises(ListRefused):
        apply_changes(Changes(add={key(8): "10.77.0.30", key(9): "10.77.0.30"}), before, lab.device)
    assert lab.device.calls == made
    assert reconcile({**before, **members(8)}, lab.device).peers == {**before, **members(8)}


def test_everybody_may_go_and_come_back(lab: Lab) -> None:
    everybody = members(*range(1, 254))
    apply_changes(Changes(add=everybody), {}, lab.device)
    assert lab.peers == everybody
    apply_changes(Changes(remove=everybody), everybody, lab.device)
    assert lab.peers == {}
