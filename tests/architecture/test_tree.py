"""What holds for the tree as a whole: sizes, the make targets, and what no tracked file may say."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

# Written in parts, because they may stand in no file, and this is one.
REGISTRIES = [
    ".".join(parts)
    for parts in (
        ("pypi", "org"),
        ("files", "pythonhosted", "org"),
        ("registry", "npmjs", "org"),
        ("registry", "yarnpkg", "com"),
        ("registry-1", "docker", "io"),
        ("index", "docker", "io"),
        ("auth", "docker", "io"),
        ("deb", "debian", "org"),
        ("security", "debian", "org"),
        ("snapshot", "debian", "org"),
        ("proxy", "golang", "org"),
        ("sum", "golang", "org"),
        ("static", "crates", "io"),
        ("index", "crates", "io"),
        ("quay", "io"),
        ("ghcr", "io"),
        ("gcr", "io"),
    )
]
REGISTRY = re.compile("|".join(rf"(?<![\w-]){re.escape(host)}(?![\w-])" for host in REGISTRIES))
INDEX_OPTION = re.compile(r"^\s*(--(extra-)?index-url|--find-links|--trusted-host|-i\s)", re.MULTILINE)
# A home folder, a temporary file or a working copy of one machine. What is inside a container is not meant.
MACHINE_PATH = re.compile(r"(?<![\w.$}/-])/(?:work/|home/\w+/|Users/\w+/|root/project)")
BINARY = (".png", ".jpg", ".gif", ".ico", ".woff2", ".gz")


def tracked() -> Iterator[tuple[str, str]]:
    """Each tracked text file, by its path in the checkout, with its text."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True)
    for name in filter(None, listed.stdout.split("\0")):
        file = ROOT / name
        if file.is_file() and not name.endswith(BINARY):
            yield name, file.read_text(encoding="utf-8", errors="replace")


def found(pattern: re.Pattern[str]) -> list[str]:
    return [f"{name}: {match.group(0)}" for name, text in tracked() for match in pattern.finditer(text)]


def test_no_tracked_file_names_a_package_registry() -> None:
    assert not found(REGISTRY)


def test_the_search_for_registries_finds_one() -> None:
    assert REGISTRY.search(f"https://{REGISTRIES[0]}/simple")
    assert not REGISTRY.search("pypiXorg and quayside.io")


def test_pins_name_no_package_index() -> None:
    texts = {name: text for name, text in tracked() if name.startswith("requirements/")}
    assert {"requirements/dev.txt", "requirements/services.txt"} <= texts.keys()
    assert not [name for name, text in texts.items() if INDEX_OPTION.search(text)]


def test_each_pin_has_a_version_and_a_hash() -> None:
    for name, text in tracked():
        if name.startswith("requirements/") and name.endswith(".txt"):
            entries = re.split(r"\n(?=[A-Za-z0-9])", text)
            loose = [entry.splitlines()[0] for entry in entries if "==" not in entry or "--hash=sha256:" not in entry]
            assert not loose, name


def test_images_install_the_versions_that_are_tested() -> None:
    pins = {
        name: set(re.findall(r"^([\w.-]+==[\w.]+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))
        for name in ("dev.txt", "services.txt")
    }
    assert pins["services.txt"]
    assert pins["services.txt"] <= pins["dev.txt"]


def test_continuous_integration_calls_the_command_of_the_readme() -> None:
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK)
    assert subprocess.run(["bash", "-n", script]).returncode == 0
    commands = re.findall(r"^make (?:--no-print-directory )?(\w+)$", script.read_text(), re.MULTILINE)
    assert commands == ["setup", "test"]
    assert "make test" in (ROOT / "README.md").read_text()


def test_node_locks_carry_no_addresses() -> None:
    locks = {name: json.loads(text) for name, text in tracked() if name.endswith("package-lock.json")}
    assert locks
    for name, lock in locks.items():
        assert not [package for package, entry in lock["packages"].items() if "resolved" in entry], name


def test_no_tracked_file_names_a_path_of_one_machine() -> None:
    assert not found(MACHINE_PATH)


def test_the_program_is_short() -> None:
    assert len((ROOT / "__main__.py").read_text().splitlines()) < 60


def test_every_make_target_says_what_it_does() -> None:
    text = (ROOT / "Makefile").read_text()
    targets = re.findall(r"^([a-z][a-z-]*):(?!=)", text, re.MULTILINE)
    documented = re.findall(r"^([a-z][a-z-]*):[^\n=]*?## \S", text, re.MULTILINE)
    phony = re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)
    assert phony is not None
    assert sorted(targets) == sorted(documented) == sorted(phony.group(1).split())


def test_make_help_lists_every_target() -> None:
    # Not as a part of the `make test` that may have started this.
    outside = {name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL")}
    done = subprocess.run(["make", "help"], cwd=ROOT, env=outside, capture_output=True, text=True, check=True)
    shown = done.stdout.splitlines()
    targets = re.findall(r"^([a-z][a-z-]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert [line.split()[1] for line in shown] == targets


@pytest.mark.parametrize("folder", ["bootstrap", "engine", "berth", "components", "providers"])
def test_files_are_about_one_thing(folder: str) -> None:
    long = {
        str(file.relative_to(ROOT)): lines
        for file in (ROOT / folder).rglob("*.py")
        if (lines := len(file.read_text().splitlines())) > 450
    }
    assert not long
