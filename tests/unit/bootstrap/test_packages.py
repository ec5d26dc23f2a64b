"""`.venv`, the Node packages and the TUN device."""

from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap import node, venv
from bootstrap.errors import SetupError
from bootstrap.node import NodePackages
from bootstrap.shell import Outcome
from bootstrap.step import Context
from bootstrap.tunnel import Tunnel
from bootstrap.venv import Venv
from tests.unit.bootstrap.fakes import FakeShell


@pytest.fixture
def made(context: Context) -> Context:
    """A virtual environment that works."""
    (context.venv / "bin" / "python").touch()
    pip = context.venv / "lib" / "python3.11" / "site-packages" / "pip"
    pip.mkdir(parents=True)
    (pip / "__init__.py").touch()
    return context


def test_the_environment_is_made_and_stamped(context: Context, shell: FakeShell) -> None:
    assert Venv().satisfied(context) is None
    Venv().apply(context)
    assert shell.did("-m venv --clear")
    assert shell.did("pip install", "--only-binary :all:", "-r requirements/dev.txt")
    assert (context.venv / venv.STAMP).read_text() == venv.wanted(context)


def test_a_current_environment_is_left_alone(made: Context, shell: FakeShell) -> None:
    (made.venv / venv.STAMP).write_text(venv.wanted(made))
    assert Venv().satisfied(made)
    assert not shell.did("pip install")


def test_changed_requirements_are_installed_into_the_same_environment(made: Context, shell: FakeShell) -> None:
    (made.venv / venv.STAMP).write_text(venv.wanted(made))
    (made.root / venv.REQUIREMENTS).write_text("pulumi==3.2.0\n")
    assert Venv().satisfied(made) is None
    Venv().apply(made)
    assert not shell.did("-m venv")
    assert shell.did("pip install")


@pytest.mark.parametrize("broken", ["no python", "python fails", "no pip"])
def test_a_broken_environment_is_made_anew(made: Context, shell: FakeShell, broken: str) -> None:
    (made.venv / venv.STAMP).write_text(venv.wanted(made))
    python = made.venv / "bin" / "python"
    if broken == "no python":
        python.unlink()
        python.symlink_to("/no/such/python")
    elif broken == "python fails":
        shell.when(str(python), "-I -S", answer=Outcome(1, ""))
    else:
        next(made.venv.glob("lib/python*/site-packages/pip/__init__.py")).unlink()
    assert Venv().satisfied(made) is None
    Venv().apply(made)
    assert shell.did("-m venv --clear")


def test_an_interrupted_installation_leaves_no_stamp(made: Context, shell: FakeShell) -> None:
    shell.when("pip install", answer=Outcome(1, "ERROR: connection refused"))
    with pytest.raises(SetupError) as raised:
        Venv().apply(made)
    assert "package index" in raised.value.todo
    assert not (made.venv / venv.STAMP).exists()


def test_a_python_without_venv_gets_the_package(
    context: Context, shell: FakeShell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    shell.when("dpkg-query", answer=Outcome(1, ""))
    Venv().apply(context)
    assert shell.did("apt-get", "install", "python3-venv")


@pytest.mark.parametrize("folder", ["contracts", "web"])
def test_node_packages_are_installed_once_per_lock(context: Context, shell: FakeShell, folder: str) -> None:
    place = context.root / folder

    def npm(command: tuple[str, ...]) -> Outcome:
        (place / "node_modules").mkdir(exist_ok=True)
        return Outcome(0, "")

    place.mkdir(exist_ok=True)
    (place / "package-lock.json").write_text("{}")
    shell.when("npm ci", answer=npm)
    step = NodePackages(folder)
    assert step.satisfied(context) is None
    step.apply(context)
    assert step.satisfied(context)
    assert shell.did("npm ci", "--ignore-scripts")
    (place / "package-lock.json").write_text('{"lockfileVersion": 3}')
    assert step.satisfied(context) is None


def test_a_failing_npm_leaves_no_stamp(context: Context, shell: FakeShell) -> None:
    shell.when("npm ci", answer=Outcome(1, "npm error network"))
    with pytest.raises(SetupError) as raised:
        NodePackages().apply(context)
    assert "npm reaches its registry" in raised.value.todo
    assert not (context.root / "contracts" / node.STAMP).exists()


def test_a_tun_device_that_is_there_is_enough(context: Context, shell: FakeShell, tmp_path: Path) -> None:
    (tmp_path / "tun").touch()
    assert Tunnel(tmp_path / "tun").satisfied(context)
    assert Tunnel(tmp_path / "absent").satisfied(context) is None
    assert not shell.ran


def test_a_tun_device_elsewhere_is_not_this_machines(context: Context, shell: FakeShell, tmp_path: Path) -> None:
    context.exports["DOCKER_HOST"] = "unix:///in/a/virtual/machine.sock"
    assert Tunnel(tmp_path / "absent").satisfied(context)


def test_the_tun_device_is_made(context: Context, shell: FakeShell, tmp_path: Path) -> None:
    def mknod(command: tuple[str, ...]) -> Outcome:
        (tmp_path / "tun").touch()
        return Outcome(0, "")

    shell.programs["modprobe"] = ["/sbin/modprobe"]
    shell.when("mknod", answer=mknod)
    assert Tunnel(tmp_path / "tun").apply(context).startswith("made")
    assert shell.did("modprobe tun")


def test_a_tun_device_that_cannot_be_made_is_told(context: Context, shell: FakeShell, tmp_path: Path) -> None:
    shell.when("mknod", answer=Outcome(1, "Operation not permitted"))
    with pytest.raises(SetupError) as raised:
        Tunnel(tmp_path / "tun").apply(context)
    assert "modprobe tun" in raised.value.todo
