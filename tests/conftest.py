"""Time limits by kind of test, and which tests stay with one of several workers (``make test``).

A limit includes the fixtures, and some of those deploy a whole stack.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import docker
import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

HERE = Path(__file__).resolve().parent
LIMITS = {
    "e2e": 900,
    "browser": 900,
    "integration": 300,
    "component": 120,
    "engine": 180,
    "architecture": 120,
    "unit": 90,
}  # seconds
# What takes long is begun first, so that no worker is left alone with it at the end.
ORDER = ("e2e", "integration", "browser", "engine")


class Scheduling(LoadScopeScheduling):
    """To a worker goes a file; or the whole of a kind, or of a folder of integration tests, whose tests share one
    deployment, or images and networks that are slow to make."""

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.split("::", 1)[0]
        _, kind, *rest = file.split("/")
        if kind in ("e2e", "browser"):
            return kind
        return f"{kind}/{rest[0]}" if kind == "integration" else file


def pytest_configure(config: pytest.Config) -> None:
    # The order of collection, not of sizes.
    config.option.loadscopereorder = False


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadScopeScheduling:
    # pytest 9.2 takes no suffix of a group in a node's id, on which xdist's own --dist loadgroup relies.
    return Scheduling(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    def rank(item: pytest.Item) -> int:
        kind = kind_of(item)
        return ORDER.index(kind) if kind in ORDER else len(ORDER)

    items.sort(key=rank)
    for item in items:
        if kind_of(item) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LIMITS.get(kind_of(item), 120)))


@pytest.fixture(scope="session")
def daemon() -> Iterator[docker.DockerClient]:
    """Docker's.  Where none answers, what needs it fails: `make setup` starts one, and nothing is left out unsaid."""
    client = docker.from_env(timeout=120)
    client.ping()
    yield client
    client.close()


def kind_of(item: pytest.Item) -> str:
    """The folder of ``tests`` that a test is in; empty elsewhere."""
    return item.path.relative_to(HERE).parts[0] if HERE in item.path.parents else ""
