"""Images: what check adds, what changes them, and real builds."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from engine.docker import DockerProvider
from engine.docker.build import Build, command_line, find_build_client
from engine.model import UNKNOWN, Secret
from engine.provider import Call, CheckResult, ProviderError
from tests.engine.docker.world import BASE, IMAGE, World, sleeping, urn

DOCKERFILE = f"FROM {BASE}\nARG WORD=none\nCOPY data /data\nRUN echo $WORD > /word\nLABEL berth.test=engine-docker\n"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    (tmp_path / "data").write_text("one\n")
    (tmp_path / "images/Dockerfile").write_text(DOCKERFILE)
    (tmp_path / "images/Dockerfile.dockerignore").write_text("*\n!data\n")
    return tmp_path


def inputs(name: str = "berth-test:1", **build: Any) -> dict[str, Any]:
    return {"imageName": name, "skipPush": True, "build": {"dockerfile": "images/Dockerfile", **build}}


def check(project: Path, news: dict[str, Any]) -> CheckResult:
    return DockerProvider(project).check(Call(urn(IMAGE), news=news))


def test_check_adds_what_the_real_provider_adds(project: Path) -> None:
    result = check(project, inputs())
    assert result.failures == []
    build = result.inputs["build"]
    assert (build["context"], build["dockerfile"], len(build["contextDigest"])) == (".", "images/Dockerfile", 64)
    assert build["platform"].startswith("linux/")
    assert (result.inputs["buildOnPreview"], result.inputs["skipPush"]) == (False, True)
    assert "__defaults" not in str(result.inputs)


@pytest.mark.parametrize(
    ("news", "told"),
    [
        ({**inputs(), "skipPush": False}, "'skipPush' must be true"),
        (inputs(dockerfile="Dockerfile"), "there is no file 'Dockerfile'"),
        (inputs(context="images", dockerfile="Dockerfile"), "did you mean 'images/Dockerfile'?"),
        (inputs(context="nowhere"), "there is no directory 'nowhere'"),
        (inputs(secrets=[]), "'build.secrets' is not supported"),
        (inputs(builderVersion="3"), "'build.builderVersion' must be BuilderBuildKit or BuilderV1"),
        ({"skipPush": True, "build": {"dockerfile": "images/Dockerfile"}}, "'imageName' is required"),
    ],
)
def test_bad_inputs_are_named(project: Path, news: dict[str, Any], told: str) -> None:
    assert any(told in failure.reason for failure in check(project, news).failures)


def test_unknown_inputs_have_no_digest_yet(project: Path) -> None:
    result = check(project, inputs(context=UNKNOWN))
    assert result.failures == []
    assert "contextDigest" not in result.inputs["build"]


def test_what_is_a_change(project: Path) -> None:
    provider = DockerProvider(project)
    old = check(project, inputs(args={"WORD": "a"})).inputs

    def changes(news: dict[str, Any]) -> dict[str, str] | None:
        result = provider.diff(Call(urn(IMAGE), "id", old, news=check(project, news).inputs))
        assert result.replaces == []
        return dict(result.detailed or {})

    assert changes(inputs(args={"WORD": "a"})) == {}
    (project / "ignored").write_text("x")
    os.utime(project / "data", (1, 1))
    assert changes(inputs(args={"WORD": "a"})) == {}
    assert changes(inputs(args={"WORD": "b"})) == {"build": "update"}
    (project / "data").chmod(0o755)
    assert changes(inputs(args={"WORD": "a"})) == {"build": "update"}
    (project / "data").chmod(0o644)
    account = {"server": "s", "username": "u", "password": "p"}
    old = check(project, {**inputs(), "registry": account}).inputs
    assert changes({**inputs(), "registry": {**account, "password": "q"}}) == {}, "credentials change often"
    assert changes({**inputs(), "registry": {**account, "server": "t"}}) == {"registry": "update"}


def test_previews_build_nothing(project: Path) -> None:
    provider = DockerProvider(project)
    made = provider.create(Call(urn(IMAGE), news=check(project, inputs()).inputs, preview=True))
    assert made.outputs["repoDigest"] is UNKNOWN
    assert made.outputs["imageName"] == "berth-test:1"


def test_build_arguments_are_not_on_the_command_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    build = Build(
        "i:1", ".", "D", {"TOKEN": "hush", "HOME": "/other"}, "stage", "linux/amd64", "none", ("h:1",), ("c:1",)
    )
    command, environment = command_line(build, "docker", "/id", "unix:///sock")
    assert "hush" not in " ".join(command)
    assert environment["TOKEN"] == "hush"
    assert environment["HOME"] == "/home/somebody", "what the client needs itself is left alone"
    text = " ".join(command)
    for part in ("--build-arg TOKEN", "--build-arg HOME=/other", "--target stage", "--platform linux/amd64",
                 "--network none", "--add-host h:1", "--cache-from c:1", "--file D", "--tag i:1"):  # fmt: skip
        assert part in text
    assert (environment["DOCKER_HOST"], environment["DOCKER_BUILDKIT"]) == ("unix:///sock", "1")


def fake_client(directory: Path, version: str, buildx: bool) -> str:
    directory.mkdir()
    path = directory / "docker"
    said = f'echo "Docker version {version}, build 1"'
    path.write_text(f'#!/bin/sh\n[ "$1" = --version ] && {said} && exit 0\nexit {0 if buildx else 1}\n')
    path.chmod(0o755)
    return str(path)


def test_the_first_client_that_can_build_is_taken(tmp_path: Path) -> None:
    new = fake_client(tmp_path / "new", "28.2.2", buildx=False)
    old = fake_client(tmp_path / "old", "20.10.24", buildx=False)
    plugin = fake_client(tmp_path / "plugin", "29.0.0", buildx=True)
    directories = [str(tmp_path / name) for name in ("new", "missing", "old", "plugin")]
    assert find_build_client(":".join(directories)) == old
    assert find_build_client(":".join([directories[0], directories[3]])) == plugin
    with pytest.raises(ProviderError, match=f"can build images with BuildKit \\({new}\\).*docker-buildx"):
        find_build_client(directories[0])
    with pytest.raises(ProviderError, match="no docker client on PATH"):
        find_build_client(str(tmp_path / "missing"))


@pytest.mark.docker
def test_build_unchanged_changed_gone(world: World, project: Path) -> None:
    news = inputs(f"{world.name('image')}:1", args={"WORD": "first word"})
    made = world.create(IMAGE, news)
    assert made.id == news["imageName"]
    digest = made.outputs["repoDigest"]
    assert digest.startswith("sha256:")
    assert made.outputs["dockerfile"] == "images/Dockerfile"
    assert made.outputs["__inputs"] == made.inputs
    assert any("COPY data" in line for line in world.lines), "the build's progress is shown"
    world.refresh(made)
    assert world.diff(made, news).changes is False

    box = world.create("docker:index/container:Container", sleeping(world.name("box"), image=digest))
    assert world.run(box, "cat", "/word", "/data") == "first word\none\n"
    world.delete(box)

    (project / "data").write_text("two\n")
    assert world.diff(made, news).detailed == {"build": "update"}
    world.update(made, news)
    assert made.outputs["repoDigest"] != digest
    made.outputs["__inputs"] = made.inputs

    world.client.call("DELETE", f"/images/{digest}")
    world.client.call("DELETE", f"/images/{made.id}")
    assert world.read(made).id == "", "an image that is gone is built again"


@pytest.mark.docker
def test_outputs_mark_the_inputs_as_secret(world: World, project: Path) -> None:
    made = world.create(IMAGE, inputs(f"{world.name('image')}:1"))
    outputs = world.provider.update(world.call(made, made.inputs))
    assert isinstance(outputs["__inputs"], Secret)
    world.delete(made)
    assert world.client.find(f"/images/{made.id}/json") is not None, "as with the real provider, the image stays"


@pytest.mark.docker
def test_a_failing_build_tells_why(world: World, project: Path) -> None:
    (project / "images/Dockerfile").write_text(f"FROM {BASE}\nRUN echo the reason; exit 9\n")
    with pytest.raises(ProviderError, match=r"docker build of images/Dockerfile failed(.|\n)*the reason(.|\n)*9"):
        world.create(IMAGE, inputs(f"{world.name('image')}:1"))


@pytest.mark.docker
def test_a_build_that_hangs_is_stopped(world: World, project: Path) -> None:
    (project / "images/Dockerfile").write_text(f"FROM {BASE}\nRUN sleep 60\n")
    checked = world.check(IMAGE, inputs(f"{world.name('image')}:1"))
    with pytest.raises(ProviderError, match="took longer than 2 s"):
        world.provider.create(Call(urn(IMAGE), news=checked, timeout=2, log=world.log))
