from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap import apt, base
from bootstrap.base import IMAGE, BaseImage
from bootstrap.errors import SetupError
from bootstrap.shell import Outcome
from bootstrap.step import Context
from tests.unit.bootstrap.fakes import FakeShell


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "var-tmp"
    folder.mkdir()
    monkeypatch.setattr(base, "WORK", folder)
    return folder


@pytest.fixture
def step(tmp_path: Path) -> BaseImage:
    (tmp_path / "apt").mkdir()
    (tmp_path / "apt" / "sources.list").write_text(
        "deb http://mirror.example/debian bookworm main\ndeb http://mirror.example/sec bookworm-security main\n"
    )
    return BaseImage(tmp_path / "apt")


def test_an_image_that_is_there_is_used(context: Context, shell: FakeShell, step: BaseImage) -> None:
    assert step.satisfied(context) == f"{IMAGE} is there"
    shell.when("image inspect", answer=Outcome(1, "No such image"))
    assert step.satisfied(context) is None


def test_it_is_pulled_where_it_can_be(context: Context, shell: FakeShell, step: BaseImage, work: Path) -> None:
    assert step.apply(context) == f"pulled {IMAGE}"
    assert not shell.did("debootstrap")
    assert not shell.did("apt-get")


def test_else_it_is_made_from_this_machines_own_package_source(
    context: Context, shell: FakeShell, step: BaseImage, work: Path, tmp_path: Path
) -> None:
    shell.when("docker pull", answer=Outcome(1, "no such host"))
    shell.programs["debootstrap"] = ["/usr/sbin/debootstrap"]
    written: list[str] = []
    shell.when(
        "cp", "sources.list", answer=lambda command: written.append(Path(command[1]).read_text()) or Outcome(0, "")
    )
    assert "debootstrap" in step.apply(context)
    assert shell.did("debootstrap --variant=minbase bookworm", "http://mirror.example/debian")
    assert shell.did("docker import", IMAGE, "LABEL berth.base=made")
    assert [written[0].count(word) for word in ("Types: deb", "Suites: bookworm\n", "bookworm-security\n")] == [2, 1, 1]
    assert apt.sources(tmp_path / "apt", "bookworm") == list(apt._stanzas(written[0]))
    assert not shell.did("apt-get")


def test_the_working_folder_goes_whatever_happens(
    context: Context, shell: FakeShell, step: BaseImage, work: Path
) -> None:
    shell.when("docker pull", answer=Outcome(1, "no such host"))
    shell.when("debootstrap --variant", answer=Outcome(1, "E: Failed getting release file"))
    shell.programs["debootstrap"] = ["/usr/sbin/debootstrap"]
    with pytest.raises(SetupError) as raised:
        step.apply(context)
    assert "apt sources" in raised.value.todo
    assert raised.value.output == "E: Failed getting release file"
    assert shell.did("rm -rf --one-file-system", str(work))
    assert not shell.did("docker import")
    assert not (context.home / "base.path").exists()


def test_what_an_interrupted_run_left_goes_first(
    context: Context, shell: FakeShell, step: BaseImage, work: Path
) -> None:
    left = work / "berth-base-left"
    left.mkdir()
    context.home.mkdir()
    (context.home / "base.path").write_text(str(left))
    shell.when("docker pull", answer=Outcome(1, "no such host"))
    shell.programs["debootstrap"] = ["/usr/sbin/debootstrap"]
    step.apply(context)
    assert shell.ran.index(f"rm -rf --one-file-system {left}") < shell.ran.index(shell.did("debootstrap --var")[0])


@pytest.mark.parametrize("path", ["/", "/etc", "elsewhere/berth-base-x", ""])
def test_only_folders_of_its_own_are_removed(context: Context, shell: FakeShell, work: Path, path: str) -> None:
    base._remove(context, Path(path))
    assert not shell.ran


def test_without_registry_and_debootstrap_both_ways_out_are_told(
    context: Context, shell: FakeShell, step: BaseImage, work: Path
) -> None:
    shell.programs.clear()
    shell.when("docker pull", answer=Outcome(1, "no such host"))
    with pytest.raises(SetupError) as raised:
        step.apply(context)
    assert "could not be pulled" in raised.value.what
    assert "docker load" in raised.value.todo
    assert raised.value.output == "no such host"
