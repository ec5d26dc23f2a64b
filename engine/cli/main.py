"""The root command.  Errors end here: a message on standard error and Pulumi's exit codes."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
from typing import Any, Final

import click

from engine.backend.errors import Cancelled, EngineError
from engine.cli.flags import Command, Flags, Group, option, refuse, shared, switch

_other_names: Final = {"update": "up", "pre": "preview", "dn": "destroy", "down": "destroy"}
_elsewhere: Final = {"cancel": "stack", "config": "config", "stack": "stack"}  # start-up time is felt


class _Root(Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*self.commands, *_elsewhere])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if module := _elsewhere.get(cmd_name):
            found: click.Command = getattr(importlib.import_module(f"engine.cli.{module}"), cmd_name)
            return found
        return super().get_command(ctx, _other_names.get(cmd_name, cmd_name))


root = _Root(
    help="Pulumi's verbs, carried out by an embedded engine in Python.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)
# By the first letters of the verbs that have them.
_options: Final = (
    ("uprd", switch("--diff", help="Show what changes in each resource.")),
    ("uprd", switch("--json", "-j", help="JSON: a preview as a whole, else one event per line.")),
    ("uprd", option("--message", "-m", default="", help="A note for the history.")),
    ("uprd", option("--parallel", "-p", type=int, default=16, help="Steps at the same time [16].")),
    ("uprd", switch("--debug", "-d", help="Show the SDK's debug messages.")),
    ("uprd", option("--target", "-t", multiple=True, help="A URN to work on, and no other; * and ** are wildcards.")),
    ("uprd", switch("--target-dependents", help="Also what depends on the targets.")),
    ("upr", switch("--expect-no-changes", help="Fail when anything changes.")),
    ("rd", switch("--preview-only", help="Only show what would be done.")),
    ("up", option("--replace", multiple=True, help="A URN to replace.")),
    ("up", option("--target-replace", multiple=True, help="A URN to replace, working on no other.")),
    ("u", option("--plan", help="Do only what this plan says.")),
    ("p", option("--save-plan", help="Write a plan to this file.")),
    ("upd", switch("--refresh", "-r", help="Look at what is really there first.")),
    ("up", option("--policy-pack", multiple=True, help="A directory with a policy pack to run.")),
    ("up", option("--policy-pack-config", multiple=True, help="JSON: that pack's settings.")),
    ("urd", switch("--skip-preview", "-f", help="Do not preview first.")),
)


def _operation(name: str, verb: Any, help: str) -> None:
    def callback(session: Any, **given: Any) -> None:
        from engine.cli.operations import operate

        operate(session, verb, given)

    options = [each for verbs, each in _options if verb[0] in verbs]
    root.add_command(Command(name, callback=callback, params=options, help=help))


_operation("up", "update", "Create or update the stack's resources.")
_operation("preview", "preview", "Show what `up` would do.")
_operation("refresh", "refresh", "Bring the state in line with what is really there.")
_operation("destroy", "destroy", "Delete all of the stack's resources; the stack itself stays.")


@root.command(cls=click.Command, params=[*shared])
def version() -> None:
    """Print the version, and which engine this is."""
    click.echo(f"v{importlib.metadata.version('pulumi')} (embedded engine in Python, not Pulumi's CLI)")


def main(args: list[str] | None = None) -> None:
    """Run one command and leave the process with its exit code."""
    sys.exit(_run(args))


def _run(args: list[str] | None) -> int:
    try:
        try:
            root.main(args=args, prog_name="pulumi", standalone_mode=False, obj=Flags())
        except click.exceptions.NoArgsIsHelpError as help:
            click.echo(help.format_message())
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
