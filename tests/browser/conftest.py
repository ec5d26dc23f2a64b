"""The page as people meet it: a real Chromium, the real image of the page, the real access API, a real chain."""

from __future__ import annotations

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Any

import docker
import pytest
from docker.errors import ImageNotFound
from playwright.sync_api import Browser, BrowserContext, Page, Request, expect

from berth.access.client.wallet import Wallet
from engine.docker.build import Build
from tests.browser.chromium import chromium, free_port, labels
from tests.browser.front import Front
from tests.browser.wallet import BrowserWallet
from tests.images import built
from tests.integration.access_api.conftest import Service, World, world

__all__ = ["world"]
expect.set_options(timeout=20_000)  # the API asks its nodes for their peers every 5 s, and machines are busy
subnet, subnet6 = IPv4Network("10.77.0.0/16"), IPv6Network("fd77::/64")
shots = os.environ.get("BERTH_SHOTS")
"""Where pictures of the page go, for people to look at; none are taken without it."""


@pytest.fixture(scope="session")
def build(daemon: docker.DockerClient) -> Iterator[Callable[[str, str, str], str]]:
    """Builds an image; the builder's cache outlives it."""
    made: list[str] = []

    def run(tag: str, context: str, dockerfile: str) -> str:
        built(daemon, Build(tag, context, dockerfile))
        made.append(tag)
        return tag

    yield run
    for tag in made:
        with contextlib.suppress(ImageNotFound):
            daemon.images.remove(tag, force=True)


@pytest.fixture(scope="module")
def browser(daemon: docker.DockerClient, build: Callable[[str, str, str], str]) -> Iterator[Browser]:
    """A new one for each module: Playwright keeps an event loop in this thread, which others must not meet."""
    image = build("berth/chromium:test", "tests/browser", "tests/browser/Dockerfile")
    # Playwright names the folder for downloads, below its own TMPDIR: both sides have to see it.
    with tempfile.TemporaryDirectory(prefix="berth-browser-") as folder, pytest.MonkeyPatch.context() as patch:
        os.chmod(folder, 0o777)
        patch.setenv("TMPDIR", folder)
        with chromium(daemon, image, Path(folder)) as running:
            yield running


@pytest.fixture(scope="session")
def page_server(daemon: docker.DockerClient, build: Callable[[str, str, str], str]) -> Iterator[str]:
    """``host:port`` of the page's image, run as the stack runs it."""
    image = build("berth/web:browser-test", ".", "images/web/Dockerfile")
    container = daemon.containers.run(
        image, detach=True, labels=labels, read_only=True, tmpfs={"/tmp": "rw,noexec,nosuid,nodev,size=16m"},
        cap_drop=["ALL"], security_opt=["no-new-privileges"], user="1001:1001", ports={"8080/tcp": ("127.0.0.1", None)},
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 20
        while container.exec_run(["/usr/local/bin/healthcheck"]).exit_code != 0:
            assert time.monotonic() < deadline, container.logs().decode()
            time.sleep(0.1)
        container.reload()
        yield f"127.0.0.1:{container.ports['8080/tcp'][0]['HostPort']}"
    finally:
        container.remove(force=True)


@dataclass
class Site:
    """The page at ``url``, before the API of ``world``."""

    url: str
    world: World
    front: Front
    service: Service


@pytest.fixture(scope="module")
def site(world: World, page_server: str) -> Iterator[Site]:
    front = Front(0, {})
    own = {"PUBLIC_URL": front.url, "CHAIN_NAME": "berth test"}
    tunnel = {"TUNNEL_SUBNET": str(subnet), "TUNNEL_SUBNET6": str(subnet6)}
    service = Service(world.variables(**own, **tunnel), free_port()).start()
    front.routes |= {
        "/": page_server,
        "/api/access/": service.url.removeprefix("http://"),
        "/nodes/node-1/ping": world.node.url.removeprefix("http://"),
    }
    yield Site(front.url, world, front, service)
    service.stop()
    front.close()


@dataclass
class Visit:
    """Somebody at the page.  ``requests`` has everything that the page sent, ``complaints`` what it said in the console
    and what it threw."""

    page: Page
    wallet: BrowserWallet | None
    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Takes down everything from here on."""
        self.page.on("request", lambda request: self.requests.append(_told(request)))
        self.page.on("console", lambda said: self.complaints.append(said.text) if said.type == "error" else None)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def sign_in(self) -> None:
        self.page.get_by_role("button", name="Test wallet").click()
        self.page.get_by_role("heading", name="Add a device").wait_for()

    def shot(self, name: str, whole: bool = True) -> None:
        if shots:
            Path(shots).mkdir(parents=True, exist_ok=True)
            self.page.screenshot(path=Path(shots) / f"{name}.png", full_page=whole)


Visitor = Callable[..., Visit]


@pytest.fixture
def visitor(browser: Browser, site: Site) -> Iterator[Visitor]:
    """Opens the page: ``wallet`` the account (none: no wallet at all), ``path``, and options of the context."""
    contexts: list[BrowserContext] = []

    def visit(wallet: Wallet | None = None, path: str = "/", url: str | None = None, **options: Any) -> Visit:
        context = browser.new_context(accept_downloads=True, **options)
        contexts.append(context)
        context.set_default_timeout(20_000)
        chain_id = site.world.endpoint.chain_id
        own = BrowserWallet(wallet, chain_id, {chain_id}) if wallet else None
        if own:
            own.put_into(context)
        page = context.new_page()
        made = Visit(page, own)
        made.watch()
        page.goto((url or site.url) + path)
        return made

    yield visit
    for context in contexts:
        context.close()


def _told(request: Request) -> str:
    """All that a request tells, as one text."""
    return "\n".join([f"{request.method} {request.url}", *map(repr, request.headers.items()), request.post_data or ""])


def unexpected(complaints: list[str]) -> list[str]:
    """Without those of the browser about a session that is not there yet: it logs every 4xx."""
    return [one for one in complaints if not re.search(r"status of 401", one)]
