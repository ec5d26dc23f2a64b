"""MongoDB, Redis and a bridge for the session; a manager for each module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from tests.integration.leases.world import Servers, World, built


@pytest.fixture(scope="session")
def servers(daemon: docker.DockerClient) -> Iterator[Servers]:
    made = Servers(daemon, built("mongodb"), built("redis"))
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture(scope="module")
def world(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(servers, tmp_path_factory.mktemp("leases"))
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path
