"""The forwarding program's own tests and fuzzers, run by the compiler that builds it."""

from __future__ import annotations

import secrets

import docker
import pytest

from engine.docker.build import Build
from tests.images import built, root
from tests.integration.tunnel.conftest import labels

pytestmark = [pytest.mark.docker, pytest.mark.timeout(900)]


def go(daemon: docker.DockerClient, script: str) -> str:
    """What a shell script prints that runs beside the program's sources."""
    toolchain = built(daemon, Build("berth/bridge:toolchain-test", ".", "images/bridge/Dockerfile", target="build"))
    container = daemon.containers.run(
        toolchain,
        ["sh", "-c", f"cp -r /src /build/test && cd /build/test && {script}"],
        name=f"berth-test-{secrets.token_hex(4)}",
        labels=labels,
        network="none",
        environment={"GOFLAGS": "-trimpath"},  # as the program is built: what was compiled for that is used
        volumes={str(root / "images/bridge/go"): {"bind": "/src", "mode": "ro"}},
        detach=True,
    )
    try:
        status = container.wait(timeout=600)["StatusCode"]
        text: str = container.logs().decode()
    finally:
        container.remove(force=True)
        daemon.images.remove("berth/bridge:toolchain-test")
    assert status == 0, text[-4000:]
    return text


_fuzz = (
    "for name in $(go test -list '^Fuzz' . | grep '^Fuzz'); "
    "do go test -run '^$' -fuzz \"^$name\\$\" -fuzztime {} .; done"
)


def test_the_programs_own_tests_pass(daemon: docker.DockerClient) -> None:
    """With what the fuzzers start from; to fuzz, the compiler instruments the whole standard library first."""
    assert go(daemon, "go vet . && go test -count=1 .").startswith("ok")


@pytest.mark.slow
def test_the_programs_fuzzers_find_nothing(daemon: docker.DockerClient) -> None:
    assert go(daemon, "set -e; " + _fuzz.format("30s")).count("PASS") == 4
