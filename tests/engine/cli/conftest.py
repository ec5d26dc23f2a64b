"""A project in a directory of its own, and the command line to run in it."""

from __future__ import annotations

import hashlib
import os
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.cli.main import main

project_yaml = """\
name: small
runtime: python
stackConfigDir: stacks
backend: {url: "file://."}
"""


@dataclass
class Done:
    code: int
    out: str
    err: str


@dataclass
class Pulumi:
    """Runs commands in this process; ``environment`` is what a subprocess would need."""

    root: Path
    capsys: pytest.CaptureFixture[str]

    def __call__(self, *args: str) -> Done:
        self.capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main(list(args))
        captured = self.capsys.readouterr()
        return Done(int(ended.value.code or 0), captured.out, captured.err)

    def ok(self, *args: str) -> str:
        done = self(*args)
        assert done.code == 0, done.err + done.out
        return done.out

    def refused(self, *args: str) -> Done:
        """Runs a command that must fail and change no file."""
        before = self.fingerprint()
        done = self(*args)
        assert done.code != 0
        assert done.err.startswith("error: ")
        assert self.fingerprint() == before
        return done

    def fingerprint(self) -> dict[str, str]:
        files = (path for path in self.root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "engine"]

    @property
    def environment(self) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(Path(__file__).resolve().parents[3])}

    @property
    def state(self) -> Path:
        return self.root / ".pulumi/stacks/small/dev.json"

    def program(self, text: str) -> None:
        (self.root / "__main__.py").write_text(textwrap.dedent(text), encoding="utf-8")


@pytest.fixture
def fast_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """Key derivation takes a third of a second by design; tests about other things need not wait for it."""
    monkeypatch.setattr("engine.backend.secrets._rounds", 1000)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Pulumi:
    """A project without a stack."""
    root = tmp_path / "project"
    root.mkdir()
    (root / "Pulumi.yaml").write_text(project_yaml, encoding="utf-8")
    for name in ("PULUMI_BACKEND_URL", "PULUMI_STACK", "PULUMI_CONFIG_PASSPHRASE_FILE", "CI"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "pass")
    monkeypatch.chdir(root)
    return Pulumi(root, capsys)


@pytest.fixture
def pulumi(empty: Pulumi) -> Pulumi:
    """A project with the stack ``dev``, empty and selected."""
    empty.ok("stack", "init", "dev")
    return empty
