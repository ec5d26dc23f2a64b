"""`.venv`: what the program, the engine, the tests and the linters import."""

from __future__ import annotations

import hashlib
import importlib.util
import platform
import sys
from pathlib import Path

from bootstrap import apt
from bootstrap.step import Context

REQUIREMENTS = Path("requirements/dev.txt")
STAMP = "berth.stamp"


class Venv:
    """Makes `.venv` and installs the pinned requirements when they changed since the last time."""

    name = "Python packages"

    def satisfied(self, context: Context) -> str | None:
        stamp = context.venv / STAMP
        if not usable(context) or not stamp.exists() or stamp.read_text() != wanted(context):
            return None
        return ".venv is current"

    def apply(self, context: Context) -> str:
        shell = context.shell
        if not usable(context):
            if importlib.util.find_spec("ensurepip") is None:
                apt.install(context, "python3-venv")
            context.note("making .venv")
            shell.must(
                "the virtual environment .venv could not be made",
                "remove .venv, check the free space (df .), then try again",
                sys.executable, "-m", "venv", "--clear", str(context.venv),
                limit=120,
            )  # fmt: skip
        context.note(f"installing {REQUIREMENTS} (about a minute the first time)")
        shell.must(
            f"the packages of {REQUIREMENTS} could not be installed into .venv",
            "check that pip reaches its package index (its settings: .venv/bin/pip config list), then try again",
            str(context.venv / "bin" / "python"), "-m", "pip", "install",
            "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--only-binary", ":all:",
            "-r", str(REQUIREMENTS),
            limit=1200,
        )  # fmt: skip
        (context.venv / STAMP).write_text(wanted(context))
        return f"installed {REQUIREMENTS}"


def usable(context: Context) -> bool:
    """Whether `.venv` has an interpreter that starts, of this Python's version, and pip."""
    python = context.venv / "bin" / "python"
    if not python.exists():  # also false for a link to an interpreter that is gone
        return False
    major, minor = sys.version_info[:2]
    check = f"import sys; sys.exit(sys.version_info[:2] != ({major}, {minor}))"
    return context.shell.run(str(python), "-I", "-S", "-c", check, limit=20).ok and bool(
        list((context.venv / "lib").glob("python*/site-packages/pip/__init__.py"))
    )


def wanted(context: Context) -> str:
    """What the stamp says when `.venv` is current: the requirements' hash and the Python version."""
    digest = hashlib.sha256((context.root / REQUIREMENTS).read_bytes()).hexdigest()
    return f"{digest} {platform.python_version()}\n"
