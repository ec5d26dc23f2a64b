"""Debian packages, only those that are missing."""

from __future__ import annotations

import threading
from pathlib import Path

from bootstrap.errors import SetupError
from bootstrap.step import Context

QUIET = ("env", "DEBIAN_FRONTEND=noninteractive", "NEEDRESTART_SUSPEND=1")
OPTIONS = ("-o", "Dpkg::Use-Pty=0", "-o", "DPkg::Lock::Timeout=120", "-o", "Acquire::Retries=3")

_LOCK = threading.Lock()  # steps run beside each other, and apt runs once at a time


def install(context: Context, *packages: str) -> list[str]:
    """Install those of `packages` that are missing; returns which those were.

    Raises:
        SetupError: without apt, without root, or when apt fails.
    """
    with _LOCK:
        return _install(context, packages)


def _install(context: Context, packages: tuple[str, ...]) -> list[str]:
    shell = context.shell
    if shell.which("apt-get") is None:
        raise SetupError(
            f"{', '.join(packages)} missing, and this system has no apt-get",
            "install them with this system's own package manager, then try again",
        )
    missing = [package for package in packages if not installed(context, package)]
    if not missing:
        return []
    root = shell.as_root(*QUIET)
    if shell.run("dpkg", "--audit").output.strip():
        context.note("finishing an interrupted package installation")
        shell.must(
            "an interrupted package installation could not be finished",
            "run dpkg --configure -a as root, then try again",
            *root, "dpkg", "--configure", "-a",
        )  # fmt: skip
    context.note("apt-get update")
    shell.must(
        "the package lists could not be read",
        "check the network and this machine's apt sources (apt-get update), then try again",
        *root, "apt-get", *OPTIONS, "update", "-qq",
        limit=300,
    )  # fmt: skip
    context.note(f"apt-get install {' '.join(missing)}")
    shell.must(
        f"{', '.join(missing)} could not be installed",
        f"run apt-get install {' '.join(missing)} as root and see what it says",
        *root, "apt-get", *OPTIONS, "install", "-y", "-qq", "--no-install-recommends", *missing,
        limit=900,
    )  # fmt: skip
    return missing


def installed(context: Context, package: str) -> bool:
    state = context.shell.run("dpkg-query", "-W", "-f", "${db:Status-Status}", package)
    return state.ok and state.output.strip() == "installed"


def sources(folder: Path, suite: str) -> list[tuple[str, str]]:
    """The (address, suite) pairs for `suite` and its updates among a machine's own apt sources.

    Reads both notations. Empty when this machine does not use that suite (another release or
    another distribution).

    Args:
        folder: apt's folder, for example /etc/apt.
    """
    wanted = (suite, f"{suite}-updates", f"{suite}-security")
    pairs: list[tuple[str, str]] = []
    files = [folder / "sources.list", *sorted((folder / "sources.list.d").glob("*"))]
    for file in files:
        if not file.is_file():
            continue
        text = file.read_text(errors="replace")
        if file.suffix == ".sources":
            pairs += _stanzas(text)
        elif file.suffix == ".list":
            pairs += _lines(text)
    return list(dict.fromkeys(pair for pair in pairs if pair[1] in wanted))


def _stanzas(text: str) -> list[tuple[str, str]]:
    pairs = []
    for block in text.split("\n\n"):
        fields: dict[str, list[str]] = {}
        key = ""
        for line in block.splitlines():
            if line.startswith("#"):
                continue
            if line[:1].isspace():
                fields.setdefault(key, []).extend(line.split())
            elif ":" in line:
                key, _, value = line.partition(":")
                key = key.strip().lower()
                fields[key] = value.split()
        if "deb" not in fields.get("types", []) or fields.get("enabled", ["yes"]) == ["no"]:
            continue
        if "main" in fields.get("components", []):
            pairs += [(uri, suite) for uri in fields.get("uris", []) for suite in fields.get("suites", [])]
    return pairs


def _lines(text: str) -> list[tuple[str, str]]:
    pairs = []
    for line in text.splitlines():
        words = line.partition("#")[0].replace("]", "] ").split()
        if not words or words[0] != "deb":
            continue
        if len(words) > 1 and words[1].startswith("["):
            end = next((i for i, word in enumerate(words) if word.endswith("]")), len(words))
            words = [words[0], *words[end + 1 :]]
        if len(words) > 3 and "main" in words[3:]:
            pairs.append((words[1], words[2]))
    return pairs
