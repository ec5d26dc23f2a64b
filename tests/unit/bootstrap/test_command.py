from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from bootstrap.command import Command, path
from bootstrap.step import Context


def test_the_command_is_written_once_and_mended(context: Context) -> None:
    step = Command()
    path(context).parent.mkdir(parents=True, exist_ok=True)
    assert step.satisfied(context) is None
    step.apply(context)
    assert step.satisfied(context)
    path(context).write_text("#!/bin/sh\n")
    assert step.satisfied(context) is None


def test_the_command_runs_the_package_of_its_checkout_from_any_folder(context: Context, tmp_path: Path) -> None:
    """A module of that name in the folder it is called in is not taken for ours."""
    python = context.venv / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.unlink(missing_ok=True)
    python.symlink_to(sys.executable)
    for root, said in ((context.root, "ours"), (tmp_path / "elsewhere", "theirs")):
        package = root / "berth" / "cli"
        package.mkdir(parents=True, exist_ok=True)
        (root / "berth" / "__init__.py").touch()
        (package / "__init__.py").touch()
        (package / "__main__.py").write_text(f"import sys; print({said!r}, sys.argv[1:])")
    Command().apply(context)
    done = subprocess.run([path(context), "a", "b c"], cwd=tmp_path / "elsewhere", capture_output=True, text=True)
    assert done.stdout == "ours ['a', 'b c']\n", done.stderr
