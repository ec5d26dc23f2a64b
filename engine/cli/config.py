"""``pulumi config ...``"""

from __future__ import annotations

import json
import sys
from typing import Any

import click

from engine.backend.errors import ConfigurationError
from engine.backend.project import Path_, StackConfig, as_text, has_secure, open_secure, parse_path
from engine.cli.flags import Command, Flags, Group, shared
from engine.cli.session import Session, say


@click.group(cls=Group, invoke_without_command=True)
@click.option("--json", "-j", "as_json", is_flag=True, help="As JSON.")
@click.option("--show-secrets", is_flag=True, help="Show secret values.")
@shared
@click.pass_context
def config(ctx: click.Context, flags: Flags, as_json: bool, show_secrets: bool) -> None:
    """Manage a stack's configuration; alone: list it."""
    if ctx.invoked_subcommand:
        return
    session = Session(flags)
    values = sorted(session.config.merged().items())
    if as_json:
        entries = {key: _json(session, value, show_secrets) for key, value in values}
        say(json.dumps(entries, indent=2, ensure_ascii=False))
        return
    prefix = f"{session.project.name}:"
    rows = [
        (key.removeprefix(prefix), _plain(session, value) if show_secrets else _masked(value)) for key, value in values
    ]
    width = max((len(key) for key, _ in rows), default=3)
    for key, text in [("KEY", "VALUE"), *rows]:
        say(f"{key:<{width}}  {text}")


@config.command(cls=Command)
@click.argument("key")
@click.option("--path", "is_path", is_flag=True, help="The key is a path: a.b[0].")
@click.option("--json", "-j", "as_json", is_flag=True, help="As JSON.")
@shared
def get(flags: Flags, key: str, is_path: bool, as_json: bool) -> None:
    """Print one value, decrypted."""
    session = Session(flags)
    try:
        value = session.config.get(_steps(session.config, key, is_path))
    except LookupError as error:
        raise ConfigurationError(f"configuration key '{key}' not found for stack '{session.stack}'") from error
    say(json.dumps(_json(session, value, True), indent=2, ensure_ascii=False) if as_json else _plain(session, value))


@config.command(name="set", cls=Command)
@click.argument("key")
@click.argument("value", required=False)
@click.option("--secret", is_flag=True, help="Encrypt the value.")
@click.option("--path", "is_path", is_flag=True, help="The key is a path: a.b[0].")
@click.option("--plaintext", is_flag=True, help="Store as it is, which is the default.")
@shared
def set_(flags: Flags, key: str, value: str | None, secret: bool, is_path: bool, plaintext: bool) -> None:
    """Set one value; without VALUE it is read from standard input."""
    if secret and plaintext:
        raise ConfigurationError("--secret and --plaintext exclude each other")
    session = Session(flags)
    if value is None:
        terminal = sys.stdin.isatty()
        value = click.prompt("value", hide_input=secret) if terminal else sys.stdin.read().removesuffix("\n")
    steps = _steps(session.config, key, is_path)
    new: Any = {"secure": session.seal(str(value))} if secret else str(value)
    if not secret and is_path and len(steps) > 1:
        new = _typed(str(value))
    session.config.set(steps, new)


@config.command(cls=Command)
@click.argument("key")
@click.option("--path", "is_path", is_flag=True, help="The key is a path: a.b[0].")
@shared
def rm(flags: Flags, key: str, is_path: bool) -> None:
    """Remove one value."""
    session = Session(flags)
    session.config.remove(_steps(session.config, key, is_path))


def _steps(config: StackConfig, key: str, is_path: bool) -> Path_:
    namespace, colon, name = key.rpartition(":") if is_path and ":" in key.split("[")[0] else ("", "", key)
    steps = parse_path(name) if is_path else [key]
    return [config.full_key(f"{namespace}{colon}{steps[0]}"), *steps[1:]]


def _typed(text: str) -> str | bool | int:
    """Inside objects Pulumi stores ``true``, ``false`` and whole numbers as what they are."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.lstrip("-").isdigit() and str(int(text)) == text else text


def _plain(session: Session, value: Any) -> str:
    return as_text(open_secure(value, session.secrets.decrypt)) if has_secure(value) else as_text(value)


def _masked(value: Any) -> str:
    return as_text(open_secure(value, lambda _: "[secret]"))


def _json(session: Session, value: Any, show: bool) -> dict[str, Any]:
    secret = has_secure(value)
    entry: dict[str, Any] = {"secret": secret}
    if not secret or show:
        entry = {"value": _plain(session, value), **entry}
        if isinstance(value, dict | list) and not (secret and "secure" in value):
            entry["objectValue"] = open_secure(value, session.secrets.decrypt) if secret else value
    return entry
