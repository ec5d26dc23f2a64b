"""A provider on the real daemon; what a test makes is removed by id at its end."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.docker import DockerProvider
from engine.docker.client import Client, Settings
from engine.provider import ProviderError
from tests.engine.docker.world import BASE, CONTAINER, IMAGE, Made, World, sleeping


@pytest.fixture(scope="session")
def daemon() -> Client:
    client = Client(Settings())
    try:
        found = client.find(f"/images/{BASE}/json")
    except ProviderError as error:
        pytest.fail(f"no Docker daemon: {error}")
    if found is None:
        pytest.fail(f"the image {BASE} is not here: `make setup` brings it")
    return client


@pytest.fixture
def world(daemon: Client, tmp_path: Path) -> Iterator[World]:
    provider = DockerProvider(tmp_path)
    it = World(provider, daemon, f"berth-test-{uuid.uuid4().hex[:8]}")
    yield it
    for made in reversed(it.made):
        if made.token == IMAGE and daemon.find(f"/images/{made.id}/json") is not None:
            daemon.call("DELETE", f"/images/{made.id}", query={"force": "true"})
        elif made.id:
            it.delete(made)
    provider.close()


@pytest.fixture
def sleeper(world: World) -> Callable[..., Made]:
    """Make a container that sleeps and ends at once on SIGTERM, with further inputs."""

    def make(short: str = "box", **more: Any) -> Made:
        return world.create(CONTAINER, sleeping(world.name(short), **more))

    return make
