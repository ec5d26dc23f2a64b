"""Where state lives and which stack is meant."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.backend.errors import ConfigurationError, StackNotFound
from engine.backend.location import Location
from engine.backend.project import find_project


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PULUMI_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("PULUMI_BACKEND_URL", raising=False)
    monkeypatch.delenv("PULUMI_STACK", raising=False)
    (tmp_path / "sub").mkdir()
    (tmp_path / "Pulumi.yaml").write_text(
        "name: berth\nruntime: python\nbackend: {url: 'file://.'}\n", encoding="utf-8"
    )
    return tmp_path


def located(root: Path) -> Location:
    return Location(find_project(root), root / "sub")


def test_the_projects_backend_is_below_its_root(root: Path) -> None:
    location = located(root)
    location.ensure()
    assert location.stack_file("dev") == root / ".pulumi/stacks/berth/dev.json"
    assert location.locks("dev") == root / ".pulumi/locks/organization/berth/dev"
    assert (root / ".pulumi/meta.yaml").read_text(encoding="utf-8") == "version: 1\n"


def test_the_environment_overrides_it_from_where_you_are(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PULUMI_BACKEND_URL", "file://./state")
    assert located(root).root == root / "sub/state/.pulumi"
    monkeypatch.setenv("PULUMI_BACKEND_URL", "s3://bucket")
    with pytest.raises(ConfigurationError, match=r"s3://bucket.*file:// only"):
        located(root)


def test_a_backend_of_another_layout_is_left_alone(root: Path) -> None:
    located(root).ensure()
    (root / ".pulumi/meta.yaml").write_text("version: 2\n", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="not version 1"):
        located(root).ensure()


def test_selecting(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    location = located(root)
    for name in ("dev", "prod"):
        location.stack_file(name).parent.mkdir(parents=True, exist_ok=True)
        location.stack_file(name).write_text("{}", encoding="utf-8")
    (location.stack_file("x").parent / "dev.json.bak").write_text("{}", encoding="utf-8")
    assert location.stacks() == ["dev", "prod"]
    with pytest.raises(StackNotFound, match="no stack selected"):
        location.resolve(None)
    location.select("dev")
    assert located(root).resolve(None) == "dev"
    assert location.resolve("organization/berth/prod") == "prod"
    monkeypatch.setenv("PULUMI_STACK", "prod")
    assert location.resolve(None) == "prod"
    location.select(None)
    assert location.selected() is None


@pytest.mark.parametrize(
    ("reference", "message"),
    [
        ("gone", r"no stack named 'gone' found \(there are: none\)"),
        ("acme/berth/dev", "not a stack of this backend"),
        ("organization/other/dev", "another project"),
        ("../x", "not a stack"),
        ("a b", "not a stack name"),
    ],
)
def test_references_that_do_not_fit(root: Path, reference: str, message: str) -> None:
    with pytest.raises((StackNotFound, ConfigurationError), match=message):
        located(root).resolve(reference)
