"""`.berth/env`: what a shell needs to use what set-up prepared."""

from __future__ import annotations

import shlex

from bootstrap.stack import passphrase
from bootstrap.step import Context


def text(context: Context) -> str:
    """The file's text, for `. .berth/env` in any POSIX shell."""
    lines = ["# Written by set-up; use it in a shell of yours with:  . .berth/env"]
    folders = [context.venv / "bin"]
    if (context.home / "bin" / "docker").is_symlink():
        folders.append(context.home / "bin")
    lines.append(f"PATH={':'.join(shlex.quote(str(folder)) for folder in folders)}:$PATH; export PATH")
    lines.append(
        'if [ -z "${PULUMI_CONFIG_PASSPHRASE+set}${PULUMI_CONFIG_PASSPHRASE_FILE+set}" ]; then\n'
        f"  PULUMI_CONFIG_PASSPHRASE_FILE={shlex.quote(str(passphrase(context)))}\n"
        "  export PULUMI_CONFIG_PASSPHRASE_FILE\n"
        "fi"
    )
    lines += [f"{name}={shlex.quote(value)}; export {name}" for name, value in sorted(context.exports.items())]
    lines.append("PULUMI_SKIP_UPDATE_CHECK=true; export PULUMI_SKIP_UPDATE_CHECK")
    return "\n".join(lines) + "\n"


def write(context: Context) -> None:
    """Write the file if it would say something else."""
    file = context.home / "env"
    new = text(context)
    if not file.exists() or file.read_text() != new:
        file.write_text(new)
