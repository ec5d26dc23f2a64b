from __future__ import annotations

from pathlib import Path

import pytest

from bootstrap import apt
from bootstrap.errors import SetupError
from bootstrap.shell import Outcome
from bootstrap.step import Context
from tests.unit.bootstrap.fakes import FakeShell


def test_nothing_is_installed_when_nothing_is_missing(context: Context, shell: FakeShell) -> None:
    shell.root_user = False  # and no root is asked for
    shell.when("dpkg-query", answer=Outcome(0, "installed"))
    assert apt.install(context, "docker.io") == []
    assert not shell.did("apt-get")


def test_only_what_is_missing_is_installed_after_an_update(context: Context, shell: FakeShell) -> None:
    shell.when("dpkg-query", answer=Outcome(1, "no packages found"))
    shell.when("dpkg-query", "present", answer=Outcome(0, "installed"))
    assert apt.install(context, "present", "absent") == ["absent"]
    commands = shell.did("apt-get")
    assert " update " in f"{commands[0]} "
    assert commands[1].endswith("--no-install-recommends absent")
    assert "DEBIAN_FRONTEND=noninteractive" in commands[1]


def test_a_removed_package_counts_as_missing(context: Context, shell: FakeShell) -> None:
    shell.when("dpkg-query", answer=Outcome(0, "config-files"))
    assert apt.install(context, "docker.io") == ["docker.io"]


def test_an_interrupted_installation_is_finished_first(context: Context, shell: FakeShell) -> None:
    shell.when("dpkg-query", answer=Outcome(1, ""))
    shell.when("dpkg --audit", answer=Outcome(0, "The following packages are only half configured"))
    apt.install(context, "docker.io")
    order = [line for line in shell.ran if "dpkg --configure -a" in line or "apt-get" in line]
    assert "dpkg --configure -a" in order[0]


def test_without_apt_the_message_says_what_is_missing(context: Context, shell: FakeShell) -> None:
    shell.programs.clear()
    with pytest.raises(SetupError) as raised:
        apt.install(context, "docker.io")
    assert "docker.io" in raised.value.what
    assert "package manager" in raised.value.todo


@pytest.mark.parametrize(("step", "word"), [("update", "package lists"), ("install -y", "docker.io")])
def test_a_failing_apt_is_told_with_its_words(context: Context, shell: FakeShell, step: str, word: str) -> None:
    shell.when("dpkg-query", answer=Outcome(1, ""))
    shell.when("apt-get", step, answer=Outcome(100, "E: it said so"))
    with pytest.raises(SetupError) as raised:
        apt.install(context, "docker.io")
    assert word in raised.value.what
    assert raised.value.output == "E: it said so"


STANZAS = """\
Types: deb
# a comment
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main contrib

Types: deb
Enabled: no
URIs: http://off.example/debian
Suites: bookworm
Components: main

Types: deb-src
URIs: http://source.example/debian
Suites: bookworm
Components: main
"""

LINES = """\
# deb http://off.example/debian bookworm main
deb [arch=amd64 signed-by=/etc/apt/keyrings/a.gpg] http://mirror.example/debian bookworm main contrib
deb http://mirror.example/security bookworm-security main
deb-src http://source.example/debian bookworm main
deb http://vendor.example/tool stable main
deb http://contrib.example/debian bookworm contrib
"""


def test_sources_in_stanzas(tmp_path: Path) -> None:
    (tmp_path / "sources.list.d").mkdir()
    (tmp_path / "sources.list.d" / "debian.sources").write_text(STANZAS)
    (tmp_path / "sources.list.d" / "old.list.disabled").write_text("deb http://off.example/debian bookworm main\n")
    assert apt.sources(tmp_path, "bookworm") == [
        ("http://mirror.example/debian", "bookworm"),
        ("http://mirror.example/debian", "bookworm-updates"),
        ("http://mirror.example/security", "bookworm-security"),
    ]


def test_sources_in_lines(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text(LINES)
    assert apt.sources(tmp_path, "bookworm") == [
        ("http://mirror.example/debian", "bookworm"),
        ("http://mirror.example/security", "bookworm-security"),
    ]


def test_a_machine_of_another_release_offers_no_sources(tmp_path: Path) -> None:
    (tmp_path / "sources.list").write_text("deb http://mirror.example/ubuntu noble main\n")
    assert apt.sources(tmp_path, "bookworm") == []
    assert apt.sources(tmp_path / "no-apt-here", "bookworm") == []
