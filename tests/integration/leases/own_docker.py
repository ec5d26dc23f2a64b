"""A Docker daemon of a test's own, which it may stop, kill and start: the machine's is everybody's.

It has its own network namespace, state, socket and containerd; of the machine's daemon it takes only an image.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import docker
import pytest
from docker.errors import DockerException
from docker.types import IPAMConfig, IPAMPool
from requests.exceptions import RequestException

from tests.integration.leases.world import eventually, image

starts_within = 30.0


class OwnDocker:
    """``folder`` holds everything; the namespace is gone with :meth:`close`."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.namespace = folder, f"berth-test-{secrets.token_hex(3)}"
        self.socket = folder / "docker.sock"
        self.process: subprocess.Popen[bytes] | None = None
        subprocess.run(["ip", "netns", "add", self.namespace], check=True)
        self.client = docker.DockerClient(f"unix://{self.socket}", version="1.41", timeout=60)

    def start(self) -> None:
        """Answers when this returns."""
        # Docker keeps the namespaces of containers in /run/docker, wherever its state is.
        script = (
            "mount --make-rprivate / && mkdir -p /run/docker && mount -t tmpfs none /run/docker && ip link set lo up &&"
            f" exec dockerd --host unix://{self.socket} --data-root {self.folder}/data --exec-root {self.folder}/exec"
            f" --pidfile {self.folder}/pid --bridge none"
        )
        inside = ["nsenter", f"--net=/run/netns/{self.namespace}", "unshare", "--mount", "sh", "-c", script]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(inside, stdout=log, stderr=log, start_new_session=True)
        eventually("a daemon of its own answers", self._answers, starts_within, more=self._log)

    def stop(self, how: signal.Signals = signal.SIGTERM) -> None:
        """As a restart of the service does, or (SIGKILL) as a crash."""
        assert self.process is not None
        self.process.send_signal(how)
        self.process.wait(40)
        # Its containerd ends with it.  Where nobody collects the dead, their numbers still look alive.
        for left in ("pid", "exec/containerd/containerd.pid"):
            (self.folder / left).unlink(missing_ok=True)

    def take_image(self, daemon: docker.DockerClient) -> None:
        self.client.images.load(b"".join(daemon.images.get(image).save(named=True)))

    def add_network(self, name: str) -> None:
        pool = IPAMPool(subnet="10.213.7.0/24", gateway="10.213.7.1")
        options = {"com.docker.network.bridge.enable_icc": "false"}
        self.client.networks.create(name, ipam=IPAMConfig(pool_configs=[pool]), options=options)

    def close(self) -> None:
        try:
            if self.process is not None:
                if self.process.poll() is not None:
                    self.start()  # what a killed one left running ends with this one
                for container in self.client.containers.list(all=True):
                    container.remove(force=True, v=True)
                self.stop()
        finally:
            self.client.close()
            subprocess.run(["ip", "netns", "del", self.namespace], check=True)

    def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._log()
        try:
            return bool(self.client.ping())
        except (DockerException, RequestException, OSError):
            return False

    def _log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]


@contextmanager
def own_docker(folder: Path) -> Iterator[OwnDocker]:
    if os.geteuid() != 0:
        pytest.skip("a Docker daemon of its own needs root")
    made = OwnDocker(folder)
    try:
        made.start()
        yield made
    finally:
        made.close()
