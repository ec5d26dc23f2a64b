"""A probe inside a lease, made as the manager makes one, tries what it must not reach or use up."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from berth.leases.engine import spec
from components.lease_settings import LeaseSettings
from tests.integration.platform.lease_lab import LeaseLab, labels, lease_labs, wait

pytestmark = pytest.mark.docker


@pytest.fixture(scope="module")
def lab(
    daemon: docker.DockerClient, images: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LeaseLab]:
    yield from lease_labs(daemon, images, tmp_path_factory.mktemp("gateway"), open=True)


def manager_made(lab: LeaseLab, name: str, network: str, **changes: Any) -> Container:
    """A container of a lease from the manager's own body, of the scenario that the stacks have."""
    changes = {"image": lab.images("lease-shell"), **changes}
    template = LeaseSettings().scenarios["alpine"].containers["main"].model_copy(update=changes)
    labelled = {**spec.labels("berth/test", "l-1", "main", time.time() + 600, "ann"), **labels}
    values = {"lease": "l-1", "name": name, "user": "ann", "host": f"{name}.test.localhost", "tokens": "0"}
    body = spec.body(template, labelled, network, (), told=False, port=8080, values=values)
    made = lab.daemon.api.create_container_from_config(body, f"berth-{lab.stack}-lease-{name}")
    container = lab.daemon.containers.get(made["Id"])
    lab.containers.append(container)
    container.start()
    return container


@pytest.fixture(scope="module")
def probe(lab: LeaseLab) -> Container:
    return manager_made(lab, "probe", str(lab.network.name))


@pytest.fixture(scope="module")
def neighbour(lab: LeaseLab) -> Container:
    made = lab.lease("neighbour")
    wait("the neighbour", lambda: lab.get("neighbour").status_code == 200)
    return made


def sh(container: Container, script: str) -> tuple[int, str]:
    done = container.exec_run(["sh", "-c", script])
    return int(done.exit_code), done.output.decode(errors="replace")


def reaches(container: Container, host: str, port: int) -> bool:
    return sh(container, f"timeout 1 nc -w 1 {host} {port} </dev/null")[0] == 0


@pytest.fixture(scope="module")
def plain(lab: LeaseLab) -> Iterator[tuple[Container, str]]:
    """A container like those of the stack's own parts, on a bridge of its own, and its address."""
    network = lab.daemon.networks.create(f"berth-{lab.stack}-inside", labels=labels)
    made = lab.daemon.containers.run(
        lab.images("lease-shell"), name=f"berth-{lab.stack}-plain", network=network.name, labels=labels, detach=True
    )
    made.reload()
    yield made, made.attrs["NetworkSettings"]["Networks"][network.name]["IPAddress"]
    made.remove(force=True)
    network.remove()


@pytest.fixture(scope="module")
def on_host() -> Iterator[int]:
    """A service on every address of this host: its port."""
    with socket.create_server(("0.0.0.0", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    server.accept()[0].close()

        threading.Thread(target=serve, daemon=True).start()
        yield int(server.getsockname()[1])
        server.shutdown(socket.SHUT_RDWR)


def hear(server: socket.socket, heard: list[str]) -> None:
    with contextlib.suppress(OSError):
        while True:
            connection, peer = server.accept()
            heard.append(peer[0])
            connection.close()


def connects(container: Container, host: str, port: int, source: str) -> bool:
    """From the container's network namespace, and one of its addresses, which no tool in there can choose."""
    container.reload()
    program = f"import socket; socket.create_connection(({host!r}, {port}), 1, ({source!r}, 0))"
    where = f"--net=/proc/{container.attrs['State']['Pid']}/ns/net"
    return subprocess.run(["nsenter", where, sys.executable, "-c", program], capture_output=True).returncode == 0


def host_addresses(lab: LeaseLab) -> list[str]:
    docker0 = lab.daemon.networks.get("bridge").attrs["IPAM"]["Config"][0].get("Gateway", "172.17.0.1")
    return [str(lab.subnet[1]), docker0]


def test_others_reach_what_the_probe_must_not(
    lab: LeaseLab, plain: tuple[Container, str], on_host: int, neighbour: Container
) -> None:
    """Otherwise the tests below would hold of services that are not there."""
    assert reaches(plain[0], host_addresses(lab)[1], on_host)
    assert reaches(plain[0], plain[1], 8080)
    assert lab.get("neighbour").status_code == 200


def test_a_lease_reaches_neither_the_host_nor_the_stack_nor_a_neighbour(
    lab: LeaseLab, probe: Container, plain: tuple[Container, str], on_host: int, neighbour: Container
) -> None:
    assert reaches(probe, "127.0.0.1", 8080)
    for address in host_addresses(lab):
        assert not reaches(probe, address, on_host), address
    assert not reaches(probe, plain[1], 8080)
    assert not reaches(probe, lab.address(neighbour), 8080)
    assert not reaches(probe, f"berth-{lab.stack}-lease-neighbour", 8080)
    # Nor the gateway, which only answers.
    for port in (8000, 8080, 8081, 8099):
        assert not reaches(probe, lab.gateway_address, port)
    # Nor anything beyond: cloud metadata, for one.
    for address in ("169.254.169.254", "1.1.1.1", "10.0.0.1"):
        assert not reaches(probe, address, 80)


def test_what_was_dropped_was_dropped_by_the_rules(lab: LeaseLab, probe: Container) -> None:
    rules = next(each for each in lab.containers if each.attrs["HostConfig"]["NetworkMode"] == "host")

    def dropped() -> int:
        shown = rules.exec_run(["sh", "-c", f"iptables-nft -nvxL BERTH-{lab.stack}-F"]).output.decode()
        rows = [line.split() for line in shown.splitlines() if " DROP " in line]
        (line,) = [row for row in rows if row[5] == lab.interface]
        return int(line[0])

    before = dropped()
    assert not reaches(probe, "169.254.169.254", 80)
    assert dropped() > before


def test_a_lease_has_no_way_to_docker_and_no_right_to_widen_its_own(probe: Container) -> None:
    assert sh(probe, "ls /var/run/docker.sock /run/docker.sock /run/docker-guard")[0] != 0
    status = dict(line.split(":\t", 1) for line in sh(probe, "cat /proc/self/status")[1].splitlines() if ":\t" in line)
    for capabilities in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[capabilities], 16) == 0
    assert (status["NoNewPrivs"], status["Seccomp"], status["Uid"].split()[0]) == ("1", "2", "1001")
    for refused in (
        "ip addr add 10.1.1.1/32 dev eth0",
        "ip link set eth0 down",
        "mount -t tmpfs x /tmp",
        "unshare -Ur true",
        "chroot / true",
        "mknod /tmp/x b 8 0",
        "echo 1 > /proc/sys/net/ipv4/ip_forward",
        "echo b > /proc/sysrq-trigger",
        "cat /proc/kcore",
        "hostname other",
    ):
        assert sh(probe, refused)[0] != 0, refused
    # No second way around the rules.
    assert "eth0" not in sh(probe, "cat /proc/net/if_inet6")[1]


def test_a_lease_writes_nowhere_but_to_its_own_small_memory(lab: LeaseLab, probe: Container) -> None:
    for path in ("/", "/bin", "/etc", "/www", "/usr", "/var", "/root", "/home", "/opt"):
        assert sh(probe, f"echo x > {path}/probe")[0] != 0, path
    for path, most in (("/tmp", 16), ("/dev/shm", 16)):
        _, told = sh(probe, f"dd if=/dev/zero of={path}/fill bs=1M count=100")
        assert "No space left" in told, told
        _, size = sh(probe, f"du -m {path} | cut -f 1; rm -f {path}/fill")
        assert int(size) <= most + 1
    logs = probe.attrs["HostConfig"]["LogConfig"]["Config"]
    assert logs["max-size"]
    assert logs["max-file"]


def test_a_fork_bomb_and_a_memory_hog_stay_in_their_lease(lab: LeaseLab, neighbour: Container) -> None:
    bomb = manager_made(lab, "bomb", str(lab.network.name))
    bomb.exec_run(["sh", "-c", "b() { b | b & }; b"], detach=True)
    slowest = 0.0
    for _ in range(20):
        started = time.monotonic()
        assert lab.get("neighbour").status_code == 200
        slowest = max(slowest, time.monotonic() - started)
    assert slowest < 5
    stats: Any = bomb.stats(stream=False)
    assert stats["pids_stats"].get("current", 0) <= 64
    bomb.kill()
    hog = manager_made(lab, "hog", str(lab.network.name))
    sh(hog, "head -c 300000000 /dev/zero | tail -n 1 | wc -c")
    hog.reload()
    most = hog.attrs["HostConfig"]["Memory"]
    stats = hog.stats(stream=False)
    assert stats["memory_stats"].get("max_usage", 0) <= most
    assert lab.get("neighbour").status_code == 200


def test_a_flood_of_output_stays_within_its_log(lab: LeaseLab) -> None:
    flood = "head -c 40000000 /dev/zero | tr '\\0' x && : > /tmp/written && sleep 600"
    made = manager_made(lab, "flood", str(lab.network.name), entrypoint=["sh", "-c"], command=[flood])
    wait("all of it is written", lambda: sh(made, "test -e /tmp/written")[0] == 0, seconds=30)
    made.reload()
    log = Path(made.attrs["LogPath"])
    if not os.access(log.parent, os.R_OK):
        pytest.skip("Docker's own files can be seen by root alone")
    config = made.attrs["HostConfig"]["LogConfig"]["Config"]
    most = int(config["max-size"].removesuffix("k")) * 1024 * int(config["max-file"])
    used = sum(path.stat().st_size for path in log.parent.glob("*.log*"))
    assert most / 4 < used < most * 1.1, "it wrote five times as much"
    lab.remove(made)


def test_networks_of_leases_reach_neither_each_other_nor_the_stack_nor_this_host(
    lab: LeaseLab, on_host: int, plain: tuple[Container, str]
) -> None:
    base = lab.pool.rpartition(".0/")[0]
    networks = []
    try:
        for number, internal in enumerate((True, False)):
            subnet = f"{base}.{16 * number}/28"
            body = spec.network(
                f"berth-{lab.stack}-lease-net-{number}", labels, subnet, f"{base}.{16 * number + 1}", not internal
            )
            api = lab.daemon.api
            made = api._result(api._post_json(api._url("/networks/create"), data=body), True)
            networks.append(lab.daemon.networks.get(made["Id"]))
        first = manager_made(lab, "net-0", str(networks[0].name))
        second = manager_made(lab, "net-1", str(networks[1].name))
        for container, own, other in ((first, 0, second), (second, 1, first)):
            other.reload()
            there = next(iter(other.attrs["NetworkSettings"]["Networks"].values()))["IPAddress"]
            assert not reaches(container, there, 8080)
            assert not reaches(container, plain[1], 8080)
            assert not reaches(container, f"{base}.{16 * own + 1}", on_host)
            for address in (*host_addresses(lab), "169.254.169.254"):
                assert not reaches(container, address, on_host), address
        # Nor does one with a foot in both by the way of the one with the address of the other.
        joined = manager_made(lab, "net-joined", str(lab.network.name))
        networks[1].connect(joined)
        mine = lab.address(joined)
        assert sh(joined, f"ip -o -4 addr | grep -c -e {mine} -e {base}.")[1].strip() == "2"
        heard: list[str] = []
        with socket.create_server(("0.0.0.0", 0)) as server:
            threading.Thread(target=hear, args=(server, heard), daemon=True).start()
            port = server.getsockname()[1]
            for where in (f"{base}.17", *host_addresses(lab)):
                for source in (mine, ""):
                    assert not connects(joined, where, port, source), (where, source)
            assert reaches(plain[0], host_addresses(lab)[1], port)
            server.shutdown(socket.SHUT_RDWR)
        assert mine not in heard
        assert len(heard) == 1, "the one that may"
    finally:
        for container in [each for each in lab.containers if each.name.rpartition("-lease-")[2].startswith("net-")]:
            lab.remove(container)
        for network in networks:
            network.remove()
