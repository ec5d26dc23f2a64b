"""The platform's images, built as the stack builds them, and a lab per module."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import docker
import pytest

from engine.docker.build import Build
from tests.component.recorder import Recorder, declare_program
from tests.images import built
from tests.integration.platform.lab import Lab


@pytest.fixture(scope="session")
def images(daemon: docker.DockerClient) -> Callable[[str], str]:
    """The id of an image by name; built when it is first asked for."""
    made: dict[str, str] = {}

    def build(name: str) -> str:
        if name not in made:
            args = {}
            if name == "mongodb":
                build("service")
                args = {"SERVICE": "berth/service:platform-test"}
            what = Build(f"berth/{name}:platform-test", ".", f"images/{name}/Dockerfile", args)
            made[name] = built(daemon, what)
        return made[name]

    return build


@pytest.fixture(scope="module")
def lab(daemon: docker.DockerClient) -> Iterator[Lab]:
    made = Lab(daemon)
    yield made
    made.close()


@pytest.fixture(scope="session")
def dev() -> Recorder:
    """What the program declares for stack dev."""
    return declare_program("dev")
