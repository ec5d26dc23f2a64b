"""The root command.  Errors end here: a message on standard error and Pulumi's exit codes."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
from collections.abc import Callable
from typing import Any, Final

import click

from engine.backend.errors import Cancelled, EngineError
from engine.cli.flags import Command, Flags, Group, refuse, shared

_other_names: Final = {"update": "up", "pre": "preview", "dn": "destroy", "down": "destroy"}


class _Root(Group):
    """Loads ``stack`` and ``config`` only when asked for: start-up time is felt."""

    _groups = ("config", "stack")

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*self.commands, *self._groups])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name in self._groups:
            group: click.Command = getattr(importlib.import_module(f"engine.cli.{cmd_name}"), cmd_name)
            return group
        return super().get_command(ctx, _other_names.get(cmd_name, cmd_name))


@click.group(cls=_Root, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--version", is_flag=True, help="Print the version.")
@shared
@click.pass_context
def root(ctx: click.Context, flags: Flags, version: bool) -> None:
    """Pulumi's verbs, carried out by an embedded engine in Python."""
    if version:
        click.echo(_version())
    elif ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _switch(*names: str, help: str) -> Callable[..., Any]:
    return click.option(*names, is_flag=True, help=help)


_option = click.option
# By the first letters of the verbs that have them.
_options: Final = (
    ("uprd", _switch("--diff", help="Show what changes in each resource.")),
    ("uprd", _switch("--json", "-j", help="JSON: a preview as a whole, else one event per line.")),
    ("uprd", _option("--message", "-m", default="", help="A note for the history.")),
    ("uprd", _option("--parallel", "-p", type=int, help="Steps at the same time [16].")),
    ("uprd", _switch("--debug", "-d", help="Show the SDK's debug messages.")),
    ("uprd", _option("--target", "-t", multiple=True, help="A URN to work on, and no other; * and ** are wildcards.")),
    ("uprd", _switch("--target-dependents", help="Also what depends on the targets.")),
    ("upr", _switch("--expect-no-changes", help="Fail when anything changes.")),
    ("rd", _switch("--preview-only", help="Only show what would be done.")),
    ("up", _option("--replace", multiple=True, help="A URN to replace.")),
    ("up", _option("--target-replace", multiple=True, help="A URN to replace, working on no other.")),
    ("u", _option("--plan", help="Do only what this plan says.")),
    ("p", _option("--save-plan", help="Write a plan to this file.")),
    ("upd", _switch("--refresh", "-r", help="Look at what is really there first.")),
    ("up", _option("--policy-pack", multiple=True, help="A directory with a policy pack to run.")),
    ("up", _option("--policy-pack-config", multiple=True, help="JSON: that pack's settings.")),
    ("urd", _switch("--skip-preview", "-f", help="Do not preview first.")),
)


def _operation(name: str, verb: str, help: str) -> None:
    """Declare one of the four operations."""

    def callback(flags: Flags, /, **given: Any) -> None:
        from engine.cli.operations import operate
        from engine.cli.session import Session

        given["parallel"] = 16 if given["parallel"] is None else given["parallel"]
        operate(Session(flags), verb, **{"refresh": False, **given})  # type: ignore[arg-type]

    decorated = shared(callback)
    for verbs, option in _options:
        if verb[0] in verbs:
            decorated = option(decorated)
    root.command(name, cls=Command, help=help)(decorated)


_operation("up", "update", "Create or update the stack's resources.")
_operation("preview", "preview", "Show what `up` would do.")
_operation("refresh", "refresh", "Bring the state in line with what is really there.")
_operation("destroy", "destroy", "Delete all of the stack's resources; the stack itself stays.")


@root.command(cls=Command)
@shared
def version(flags: Flags) -> None:
    """Print the version, and which engine this is."""
    click.echo(_version())


@root.command(cls=Command)
@click.argument("name", required=False)
@shared
def cancel(flags: Flags, name: str | None) -> None:
    """Remove the locks of a stack whose operation is gone."""
    from engine.backend import locks
    from engine.cli.session import Session, say

    flags.stack = name or flags.stack
    session = Session(flags)
    directory = session.location.locks(session.stack)
    held = locks.read(directory)
    if not held:
        say(f"the stack '{session.stack}' is not locked")
        return
    if not flags.yes and any(not lock.dead for lock in held):
        who = "; ".join(str(lock) for lock in held)
        question = f"Locked by {who}. If that is still running, the state may be lost. Remove the lock?"
        if session.confirm(question) == "no":
            raise Cancelled("confirmation declined, the lock stays")
    for lock in locks.remove(directory):
        say(f"removed the lock of {lock}")


def _version() -> str:
    return f"v{importlib.metadata.version('pulumi')} (embedded engine in Python, not Pulumi's CLI)"


def main(args: list[str] | None = None) -> None:
    """Run one command and leave the process with its exit code."""
    sys.exit(_run(args))


def _run(args: list[str] | None) -> int:
    try:
        try:
            root.main(args=args, prog_name="pulumi", standalone_mode=False, obj=Flags())
        except click.UsageError as error:
            refuse(error)
    except EngineError as error:
        click.echo(f"error: {error}", err=True)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("error: stopped", err=True)
        return Cancelled.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the reader left: nothing to tell it
        return 1
    except OSError as error:
        click.echo(f"error: {error}", err=True)  # which names the file and the reason
        return 1
    return 0
