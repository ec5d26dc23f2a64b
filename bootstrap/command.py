"""`.venv/bin/berth`: the command, which works from any folder."""

from __future__ import annotations

import shlex
from pathlib import Path

from bootstrap.step import Context


class Command:
    """Writes the command that calls `berth.cli` of this checkout."""

    name = "berth command"

    def satisfied(self, context: Context) -> str | None:
        command = path(context)
        return ".venv/bin/berth" if command.is_file() and command.read_text() == text(context) else None

    def apply(self, context: Context) -> str:
        command = path(context)
        command.unlink(missing_ok=True)
        command.write_text(text(context))
        command.chmod(0o755)
        return "wrote .venv/bin/berth"


def path(context: Context) -> Path:
    return context.venv / "bin" / "berth"


def text(context: Context) -> str:
    """A script that finds the package whatever the folder it is called in."""
    start = (
        f"import runpy, sys; sys.path[:1] = [{str(context.root)!r}]; sys.argv[0] = 'berth'; "
        "runpy.run_module('berth.cli', run_name='__main__', alter_sys=True)"
    )
    python = shlex.quote(str(context.venv / "bin" / "python"))
    return f'#!/bin/sh\n# Written by set-up (bootstrap/command.py).\nexec {python} -c {shlex.quote(start)} "$@"\n'
