"""The engine that runs the program: Pulumi's own CLI where there is one or one can be had, else the embedded one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

from bootstrap import apt
from bootstrap.errors import SetupError
from bootstrap.shell import Outcome
from bootstrap.step import Context

CHOICES = ("", "embedded", "cli")
REACH_LIMIT = 5.0  # seconds until an installer that is silent counts as out of reach
MARK = "# Written by set-up (bootstrap/engine.py)."

# Pulumi's own SDK knows where its installer is and which version fits; what this adds is to tell,
# as soon as the first answer is there, that the installer is in reach.
INSTALL = """
import sys, urllib.request
class Reached(urllib.request.BaseHandler):
    def https_response(self, request, response):
        print("reached", flush=True)
        return response
urllib.request.install_opener(urllib.request.build_opener(Reached))
from pulumi.automation import PulumiCommand
PulumiCommand.install(root=sys.argv[1])
"""


class Engine:
    """Picks the engine and puts it at `.venv/bin/pulumi`.

    `BERTH_ENGINE=embedded` and `BERTH_ENGINE=cli` in the environment overrule the choice.
    """

    name = "engine"

    def satisfied(self, context: Context) -> str | None:
        choice = chosen(context)
        found = None if choice == "embedded" else external(context)
        command = context.venv / "bin" / "pulumi"
        text = command.read_text(errors="replace") if command.is_file() else ""
        if found:
            return f"Pulumi's own, {found}" if text == wrapper(context, found) else None
        own = own_cli(context)
        if choice != "embedded" and own.exists() and text == wrapper(context, str(own)):
            return "Pulumi's own, installed in .berth/pulumi"
        if choice != "cli" and text == embedded(context):
            return "embedded"
        return None

    def apply(self, context: Context) -> str:
        choice = chosen(context)
        found = None if choice == "embedded" else external(context)
        if found:
            self._plugin(context, found)
            write(context, wrapper(context, found))
            return f"Pulumi's own, {found}"
        reason = "as asked"
        if choice != "embedded":
            try:
                self._install(context)
            except SetupError as error:
                if choice == "cli":
                    raise
                reason = error.what
            else:
                write(context, wrapper(context, str(own_cli(context))))
                return "Pulumi's own, installed in .berth/pulumi"
        write(context, embedded(context))
        return f"embedded ({reason})"

    def _install(self, context: Context) -> None:
        context.note("looking for Pulumi's installer")
        done = self._run_installer(context)
        reached = "reached" in done.output
        if not done.ok and reached and not any(context.shell.which(name) for name in ("curl", "wget")):
            apt.install(context, "curl")  # the installer downloads with one of the two
            done = self._run_installer(context)
        if not done.ok:
            raise SetupError(
                "Pulumi's installer failed" if reached else "Pulumi's installer is out of reach",
                "install the Pulumi CLI by hand, or use the embedded engine (BERTH_ENGINE=embedded)",
                done.excerpt,
            )
        self._plugin(context, str(own_cli(context)))

    def _run_installer(self, context: Context) -> Outcome:
        return context.shell.run_once_heard(
            str(context.venv / "bin" / "python"), "-c", INSTALL, str(context.home / "pulumi"),
            first=REACH_LIMIT, limit=600, cue="reached",
        )  # fmt: skip

    def _plugin(self, context: Context, command: str) -> None:
        """Get the Docker plugin now, so that its absence is told here and not in the middle of an update."""
        version = plugin_version(context)
        home = Path(context.shell.environment.get("PULUMI_HOME", Path.home() / ".pulumi"))
        if (home / "plugins" / f"resource-docker-v{version}").is_dir() or context.shell.which("pulumi-resource-docker"):
            return
        context.note(f"installing Pulumi's Docker plugin {version}")
        context.shell.must(
            f"Pulumi's Docker plugin {version} could not be installed",
            "install it where it can be reached (pulumi plugin install resource docker "
            f"{version}), or use the embedded engine (BERTH_ENGINE=embedded)",
            command, "plugin", "install", "resource", "docker", version,
            limit=600,
        )  # fmt: skip


def chosen(context: Context) -> str:
    choice = context.shell.environment.get("BERTH_ENGINE", "")
    if choice not in CHOICES:
        raise SetupError(f"BERTH_ENGINE is {choice!r}", "set it to embedded or to cli, or leave it out")
    return choice


def external(context: Context) -> str | None:
    """A `pulumi` on PATH that set-up did not write, neither here nor in another checkout."""
    return next((path for path in context.shell.every("pulumi") if not _written_by_us(Path(path))), None)


def _written_by_us(command: Path) -> bool:
    try:
        with command.open("rb") as file:  # Pulumi's own is a binary of 150 MiB
            return MARK.encode() in file.read(200)
    except OSError:
        return False


def own_cli(context: Context) -> Path:
    return context.home / "pulumi" / "bin" / "pulumi"


def plugin_version(context: Context) -> str:
    """The Docker plugin that belongs to the pinned SDK."""
    pins = (context.root / "requirements" / "dev.txt").read_text()
    found = re.search(r"^pulumi[-_]docker==([\w.]+)", pins, re.MULTILINE)
    if found is None:
        raise SetupError("requirements/dev.txt pins no pulumi-docker", "recompile the pins: make requirements")
    return found.group(1)


def wrapper(context: Context, command: str) -> str:
    """A script that calls Pulumi's own CLI."""
    return _script(context, f'exec {shlex.quote(command)} "$@"')


def embedded(context: Context) -> str:
    """A script that calls the embedded engine, from wherever it is called."""
    root = repr(str(context.root))
    start = (
        f"import runpy, sys; sys.path.insert(0, {root}); sys.argv[0] = 'pulumi'; "
        "runpy.run_module('engine', run_name='__main__', alter_sys=True)"
    )
    python = shlex.quote(str(context.venv / "bin" / "python"))
    return _script(context, f'exec {python} -c {shlex.quote(start)} "$@"')


def _script(context: Context, call: str) -> str:
    passphrase = shlex.quote(str(context.home / "passphrase"))
    return (
        f"#!/bin/sh\n{MARK}\n"
        'if [ -z "${PULUMI_CONFIG_PASSPHRASE+set}${PULUMI_CONFIG_PASSPHRASE_FILE+set}" ]'
        f" && [ -f {passphrase} ]; then\n"
        f"  export PULUMI_CONFIG_PASSPHRASE_FILE={passphrase}\nfi\n{call}\n"
    )


def write(context: Context, text: str) -> None:
    command = context.venv / "bin" / "pulumi"
    command.unlink(missing_ok=True)
    command.write_text(text)
    command.chmod(0o755)
