"""Project and stack files: what is read, what is refused, and edits that leave the rest alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from engine.backend import yamlfile
from engine.backend.errors import ConfigurationError
from engine.backend.project import Path_, StackConfig, find_project, parse_path
from engine.model import Secret

project_text = """\
name: berth
runtime: {name: python, options: {virtualenv: .venv}}
stackConfigDir: stacks
backend: {url: "file://."}
config:
  size: {type: integer, default: 3}
  aws:region: {value: eu}
"""
stack_text = """\
# who may come in
encryptionsalt: v1:abc
config:
  # the network
  berth:network:
    inside: 172.30.0.0/16  # everything

    # where clients are
    edge: 172.31.0.0/16
  berth:names: [a, b]
  berth:switch: on
  berth:time: 12:30
  berth:key:
    secure: v1:xyz
# the end
"""


@pytest.fixture
def config(tmp_path: Path) -> StackConfig:
    (tmp_path / "Pulumi.yaml").write_text(project_text, encoding="utf-8")
    (tmp_path / "stacks").mkdir()
    (tmp_path / "stacks/Pulumi.dev.yaml").write_text(stack_text, encoding="utf-8")
    return StackConfig(find_project(tmp_path / "stacks"), "dev")


def test_values_as_a_program_gets_them(config: StackConfig) -> None:
    assert config.decrypted(lambda sealed: f"<{sealed}>") == {
        "aws:region": "eu",
        "berth:key": Secret("<v1:xyz>"),
        "berth:names": '["a","b"]',
        "berth:network": '{"edge":"172.31.0.0/16","inside":"172.30.0.0/16"}',
        "berth:size": "3",
        "berth:switch": "on",  # YAML 1.1 would say true, and 750 for the next
        "berth:time": "12:30",
    }


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        (["berth:network", "inside"], "10.0.0.0/8", None, "    inside: 10.0.0.0/8\n"),
        (["berth:network", "extra"], 5, None, "    extra: 5\n"),
        (["berth:switch"], "no", "  berth:switch: on\n", "  berth:switch: 'no'\n"),
        (["berth:new"], "x", None, "  berth:new: x\n"),
        (["berth:names", 2], "c", "  berth:names: [a, b]\n", "  berth:names:\n  - a\n  - b\n  - c\n"),
        (["berth:deep", "a", 0, "b"], True, None, "  berth:deep:\n    a:\n    - b: true\n"),
    ],
)
def test_setting_a_value(config: StackConfig, path: Path_, value: Any, old: str | None, new: str) -> None:
    config.set(path, value)
    text = config.path.read_text(encoding="utf-8")
    assert new in text
    assert old is None or old not in text
    assert "# who may come in" in text
    assert "# the network" in text
    assert "# where clients are" in text
    assert "# the end" in text
    assert StackConfig(config.project, "dev").get(path) == value


def test_true_is_not_one_and_nothing_else_is_touched(config: StackConfig) -> None:
    config.set(["berth:network", "count"], 1)
    before = config.path.read_text(encoding="utf-8")
    config.set(["berth:network", "count"], True)
    assert config.path.read_text(encoding="utf-8") == before.replace("count: 1\n", "count: true\n")
    config.set(["berth:network", "count"], True)
    assert config.path.read_text(encoding="utf-8") == before.replace("count: 1\n", "count: true\n")


def test_removing_values_down_to_none(config: StackConfig) -> None:
    config.remove(["berth:network", "inside"])
    assert "# where clients are" in config.path.read_text(encoding="utf-8")
    assert config.get(["berth:network"]) == {"edge": "172.31.0.0/16"}
    config.remove(["berth:nothing", "at", 3])
    for key in list(config.values):
        config.remove([key])
    assert yamlfile.load(config.path) == {"encryptionsalt": "v1:abc"}
    config.set(["berth:again"], "1")
    assert yamlfile.load(config.path)["config"] == {"berth:again": "1"}


@pytest.mark.parametrize(
    "text", ["", "config:\n", "config: {}\n", "config: {berth:a: 1}\n", "{}\n", "# only a comment\n"]
)
def test_setting_in_files_of_any_shape(config: StackConfig, text: str) -> None:
    config.path.write_text(text, encoding="utf-8")
    config = StackConfig(config.project, "dev")
    config.set(["berth:b", "c"], "2")
    config.set_salt("v1:s")
    data = yamlfile.load(config.path)
    assert data["config"]["berth:b"] == {"c": "2"}
    assert data["encryptionsalt"] == "v1:s"
    assert ("berth:a" in data["config"]) == ("berth:a" in text)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["berth:names", "x"], "1", "not a map"),
        (["berth:names", 9], "1", "index 9 is out of range: the list has 2"),
        (["berth:network", "inside", "x"], "1", "not a map"),
    ],
)
def test_a_path_that_does_not_fit_changes_nothing(config: StackConfig, path: Path_, value: str, message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        config.set(path, value)
    assert config.path.read_text(encoding="utf-8") == stack_text


@pytest.mark.parametrize(
    ("text", "steps"),
    [("a", ["a"]), ("a.b[0]", ["a", "b", 0]), ('a["b.c"][12].d', ["a", "b.c", 12, "d"]), (r'a["q\"q"]', ["a", 'q"q'])],
)
def test_paths(text: str, steps: Path_) -> None:
    assert parse_path(text) == steps


@pytest.mark.parametrize("text", ["", ".a", "[0]", "a[", "a[x]", "a..b", 'a["b'])
def test_malformed_paths(text: str) -> None:
    with pytest.raises(ConfigurationError, match="invalid configuration path"):
        parse_path(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: [", "not valid YAML"),
        ("- a", "must hold a mapping"),
        ("runtime: python", "'name' must be"),
        ("name: x\nruntime: nodejs", "runtime 'nodejs' is not supported"),
        ("name: x\nruntime: {name: python, options: {toolchain: uv}}", "toolchain 'uv' is not supported"),
    ],
)
def test_projects_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "Pulumi.yaml").write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        find_project(tmp_path)


def test_a_missing_interpreter_says_how_to_make_it(config: StackConfig) -> None:
    with pytest.raises(ConfigurationError, match=r"virtualenv is '\.venv'.*python3 -m venv"):
        _ = config.project.python


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("config: {plain: 1}", "'plain' is not a configuration key"),
        ("config: [1]", "must be a mapping"),
        ("environment: [x]", "ESC"),
        ("secretsprovider: awskms://x", "only 'passphrase'"),
    ],
)
def test_stack_files_that_are_refused(config: StackConfig, text: str, message: str) -> None:
    config.path.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        StackConfig(config.project, "dev")


@pytest.mark.parametrize(
    ("declared", "value", "message"),
    [("{type: integer}", "", "missing configuration value 'size'"), ("{type: array}", "berth:size: 3", "type array")],
)
def test_what_the_project_demands(config: StackConfig, declared: str, value: str, message: str) -> None:
    root = config.project.path
    root.write_text(f"name: berth\nruntime: python\nconfig: {{size: {declared}}}\n", encoding="utf-8")
    (root.parent / "Pulumi.dev.yaml").write_text(f"config: {{{value}}}", encoding="utf-8")
    with pytest.raises(ConfigurationError, match=message):
        StackConfig(find_project(root.parent), "dev").merged()
