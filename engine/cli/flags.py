"""Flags as Pulumi takes them: anywhere on the line, ``--flag=false`` for switches, unknown ones refused by name."""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from typing import Any, Final, NoReturn

import click

from engine.backend.errors import ConfigurationError

# What the real CLI has and this engine has not (yet): refused by name, so that nobody wonders about a typing error.
_elsewhere = re.compile(
    "--(attach-debugger|client|clear-pending-creates|config(-file|-path)?|continue-on-error|copilot"
    "|disable-integrity-checking|emoji|event-log|exclude(-dependents)?|exec-(agent|kind)"
    "|fully-qualify-stack-names|ignore-protect|import-(file|pending-creates)|logflow|logtostderr|memprofilerate|neo"
    "|otel-traces|output|profiling|raw|remove(-backups)?|run-program"
    "|secrets-provider|show-[a-z-]+|skip-[a-z-]+|strict|suppress-[a-z]+|tracing"
    "|type|urns|verbose)|-[ceQvx]"
)
_other_verbs = re.compile(
    "about|ai|api|auth|cloud|console|convert|deployment|do|env|events|import|install|login|logout|logs|neo|new|org"
    "|package|plugin|policy|project|schema|state|template|trace|watch|whoami"
)


@dataclass
class Flags:
    """The flags that every command takes, wherever they stood."""

    stack: str | None = None
    cwd: str | None = None
    color: str = "auto"
    non_interactive: bool = False
    yes: bool = False


def option(*names: str, **settings: Any) -> click.Option:
    """A flag as an object, for tables of them."""
    return click.Option(names, **settings)


switch: Final = functools.partial(option, is_flag=True)  # one without a value


def _keep(ctx: click.Context, parameter: click.Parameter, value: Any) -> None:
    if value and parameter.name:
        setattr(ctx.ensure_object(Flags), parameter.name, value)


_kept: Final[Any] = {"expose_value": False, "callback": _keep}
shared: Final = (
    option("--stack", "-s", help="The stack to work on, instead of the selected one.", **_kept),
    option("--cwd", "-C", help="Run as if started in this directory.", **_kept),
    option("--color", type=click.Choice(["auto", "always", "never", "raw"]), help="Colours [auto].", **_kept),
    switch("--non-interactive", help="Never ask, even on a terminal.", **_kept),
    switch("--yes", "-y", help="Approve without asking.", **_kept),
)


class Command(click.Command):
    """Takes the shared flags, and switches as ``--flag=true`` and ``--flag=false`` too; is called with a session."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.params += shared

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        switches = {name for p in self.params if isinstance(p, click.Option) and p.is_flag for name in p.opts}
        return super().parse_args(ctx, [new for arg in args for new in _switch(arg, switches)])

    def invoke(self, ctx: click.Context) -> None:
        if self.callback and not ctx.invoked_subcommand:
            from engine.cli.session import Session

            self.callback(Session(ctx.ensure_object(Flags)), **ctx.params)


class Group(click.Group, Command):
    """A command with subcommands; says which of the real CLI's are missing."""

    command_class = Command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and ctx.parent is None and _other_verbs.fullmatch(args[0]):
            raise ConfigurationError(
                f"`pulumi {args[0]}` is a command of Pulumi's CLI that the embedded engine does not have"
            )
        return super().resolve_command(ctx, args)


def refuse(error: click.UsageError) -> NoReturn:
    """Turn click's complaint into ours.  Raises :class:`ConfigurationError`."""
    command = error.ctx.command_path if error.ctx else "pulumi"
    if isinstance(error, click.NoSuchOption):
        name = error.option_name
        if _elsewhere.fullmatch(name):
            raise ConfigurationError(
                f"{name} is a flag of Pulumi's CLI that the embedded engine does not have: nothing was done"
            )
        raise ConfigurationError(f"unknown flag: {name}; see `{command} --help`")
    raise ConfigurationError(f"{error.format_message()}; see `{command} --help`")


def _switch(arg: str, switches: set[str]) -> list[str]:
    name, equals, value = arg.partition("=")
    if not equals or name not in switches:
        return [arg]
    if value.lower() not in ("true", "false", "1", "0", "t", "f"):
        raise ConfigurationError(f"invalid value '{value}' for {name}: write true or false")
    return [name] if value.lower() in ("true", "1", "t") else []
