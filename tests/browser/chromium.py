"""Debian's Chromium in a container, driven by Playwright over the DevTools protocol."""

from __future__ import annotations

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import httpx
from docker.errors import NotFound
from playwright.sync_api import Browser, sync_playwright

# The Node that set-up brings: Playwright's own wants a library that a bare Debian has not.
os.environ.setdefault("PLAYWRIGHT_NODEJS_PATH", str(Path(sys.prefix) / "bin" / "node"))
labels = {"berth.test": "browser"}
starts_within = 30.0  # seconds


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def chromium(daemon: docker.DockerClient, image: str, downloads: Path) -> Iterator[Browser]:
    """A browser on the host's network, so that ``localhost`` is the host's: a secure context as in real life.

    ``downloads`` is a folder that it may write to, at the same path on both sides.
    """
    port = free_port()
    container = daemon.containers.run(
        image, [f"--remote-debugging-port={port}"],
        detach=True, network_mode="host", labels=labels, mem_limit="1500m", cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        user=str(os.getuid() or 1001), volumes={str(downloads): {"bind": str(downloads), "mode": "rw"}},
    )  # fmt: skip
    try:
        _await(port, container)
        with sync_playwright() as playwright:
            browser = playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}", timeout=90_000)
            for made in downloads.iterdir():  # Playwright's folder for downloads, its owner's alone
                made.chmod(0o777)
            yield browser
            browser.close()
    finally:
        with contextlib.suppress(NotFound):
            container.remove(force=True)


def _await(port: int, container: docker.models.containers.Container) -> None:
    deadline = time.monotonic() + starts_within
    while True:
        try:
            httpx.get(f"http://127.0.0.1:{port}/json/version")
        except httpx.TransportError:
            container.reload()
            said = container.logs().decode(errors="replace")[-2000:]
            assert container.status == "running", said
            assert time.monotonic() < deadline, said
            time.sleep(0.1)
        else:
            return
