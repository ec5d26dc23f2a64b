"""Disks that are full or read-only, and files that were cut short: the old state stays, and the next run goes on."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.crash.world import PROVIDERS, root

program = """
import pathlib
import pulumi
from providers import Provider, Thing

config = pulumi.Config()
ballast = config.get("ballast")

class Filling(Provider):
    def create(self, props):
        made = super().create(props)
        if ballast:
            with open(ballast, "wb", buffering=0) as file:
                try:
                    while file.write(b"x" * 4096):
                        pass
                except OSError:
                    pass
        return made

class Filler(pulumi.dynamic.Resource, module="crash", name="Filler"):
    def __init__(self, name):
        super().__init__(Filling(), name, {"label": name, "kind": "k", "size": 0, "first": False, "made": None})

things = [Thing(f"thing-{n}", "k") for n in range(config.require_int("count"))]
if config.get_bool("fill"):
    Filler("filler")
"""


class Stack:
    """A stack whose backend is a small disk of its own."""

    def __init__(self, folder: Path, disk: Path) -> None:
        self.folder, self.disk = folder, disk
        self.ballast = disk / "ballast"
        (folder / "things").mkdir()
        (folder / "Pulumi.yaml").write_text('{"name": "crash", "runtime": "python"}')
        (folder / "providers.py").write_text(PROVIDERS)
        (folder / "__main__.py").write_text(program)
        self.configure(count=2)
        assert self("stack", "init", "dev")[0] == 0
        assert self("up", "--yes", "--skip-preview")[0] == 0

    def configure(self, **values: object) -> None:
        config = {f"crash:{key}": str(value) for key, value in values.items()}
        (self.folder / "Pulumi.dev.yaml").write_text(json.dumps({"config": config}))

    def __call__(self, *words: str) -> tuple[int, str]:
        own = {
            "PYTHONPATH": str(root),
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_BACKEND_URL": f"file://{self.disk}",
            "PULUMI_HOME": str(self.folder / "home"),
        }
        done = subprocess.run(
            [sys.executable, "-m", "engine", *words],
            cwd=self.folder,
            env={**os.environ, **own},
            capture_output=True,
            text=True,
            check=False,
        )
        return done.returncode, done.stdout + done.stderr

    def up(self) -> str:
        code, text = self("up", "--yes", "--skip-preview")
        assert code == 0, text
        return text

    @property
    def state(self) -> Path:
        return self.disk / ".pulumi/stacks/crash/dev.json"

    @property
    def latest(self) -> dict[str, object]:
        found: dict[str, object] = json.loads(self.state.read_text())["checkpoint"]["latest"]
        return found

    def things(self) -> list[str]:
        return sorted(path.name for path in (self.folder / "things").iterdir())

    def fill(self) -> None:
        with self.ballast.open("wb", buffering=0) as file:
            try:
                while file.write(b"x" * 4096):
                    pass
            except OSError:
                pass


def mount(*words: str) -> None:
    done = subprocess.run(["mount", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"a file system cannot be mounted here: {done.stderr.strip()}")


@pytest.fixture
def stack(tmp_path: Path) -> Iterator[Stack]:
    disk, folder = tmp_path / "disk", tmp_path / "project"
    disk.mkdir()
    folder.mkdir()
    mount("-t", "tmpfs", "-o", "size=512k", "none", str(disk))
    try:
        yield Stack(folder, disk)
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_full_disk_from_the_start(stack: Stack) -> None:
    before = stack.state.read_bytes()
    stack.fill()
    stack.configure(count=3)
    code, text = stack("up", "--yes", "--skip-preview")
    assert code != 0
    assert "No space left on device; what was there before is unchanged" in text
    assert "Traceback" not in text
    assert stack.state.read_bytes() == before
    assert stack.things() == ["thing-0-k", "thing-1-k"]
    stack.ballast.unlink()
    assert "+ 1 created" in stack.up()


def test_disk_that_fills_during_a_call(stack: Stack) -> None:
    stack.configure(count=2, fill=True, ballast=stack.ballast)
    code, text = stack("up", "--yes", "--skip-preview")
    assert code != 0
    assert "No space left on device" in text
    assert "Traceback" not in text
    assert "filler-k" in stack.things(), "it was made before the disk was full"
    pending = stack.latest["pending_operations"]
    assert isinstance(pending, list)
    assert [each["type"] for each in pending] == ["creating"], "so that the next run knows of it"
    stack.ballast.unlink()
    stack.configure(count=2, fill=True)
    assert "+ 1 created" in stack.up()
    assert stack.latest.get("pending_operations") is None
    assert "unchanged" in stack.up()


def test_read_only_disk(stack: Stack) -> None:
    before = stack.state.read_bytes()
    mount("-o", "remount,ro", str(stack.disk))
    stack.configure(count=3)
    code, text = stack("up", "--yes", "--skip-preview")
    assert code != 0
    assert "Read-only file system; what was there before is unchanged" in text
    assert "Traceback" not in text
    code, text = stack("preview")
    assert code == 0, text
    assert "+ 1 to create" in text
    assert stack.state.read_bytes() == before
    mount("-o", "remount,rw", str(stack.disk))
    assert "+ 1 created" in stack.up()


def test_files_that_were_cut_short(stack: Stack) -> None:
    folder = stack.disk / ".pulumi"
    history = folder / "history/crash/dev"
    for path in history.iterdir():
        path.write_text(path.read_text()[:20])
    (history / ".half.history.json.x1").write_text("{")
    (stack.state.parent / ".dev.json.x1").write_text('{"version": 3, "chec')
    lock = folder / "locks/organization/crash/dev/cut.json"
    lock.write_text('{"pid": 1, "us')
    code, text = stack("up", "--yes", "--skip-preview")
    assert code != 0, "it may still be being written"
    assert "half written\nWait for it to end, or, when that process is gone, run `pulumi cancel" in text
    os.utime(lock, (0, 0))
    text = stack.up()
    assert "removed the lock of a process that left" in text
    assert "3 unchanged" in text
    assert not lock.exists()
    assert not [path for path in folder.rglob(".*") if path.is_file()]
