"""``pulumi config ...``"""

from __future__ import annotations

import sys
from typing import Any

import click

from engine.backend.errors import ConfigurationError
from engine.backend.project import Path_, StackConfig, as_text, has_secure, open_secure, parse_path
from engine.cli.flags import Group, switch
from engine.cli.session import Session, as_json, say, table

_json = switch("--json", "-j", help="As JSON.")
_path = switch("--path", help="The key is a path: a.b[0].")
_key = click.Argument(["key"])


@click.command(
    cls=Group, invoke_without_command=True, params=[_json, switch("--show-secrets", help="Show secret values.")]
)
def config(session: Session, json: bool, show_secrets: bool) -> None:
    """Manage a stack's configuration; alone: list it."""
    values = sorted(session.config.merged().items())
    if json:
        say(as_json({key: _entry(session, value, show_secrets) for key, value in values}))
        return
    prefix = f"{session.project.name}:"
    table([("KEY", "VALUE"), *((key.removeprefix(prefix), _text(session, v, show_secrets)) for key, v in values)])


@config.command(params=[_key, _path, _json])
def get(session: Session, key: str, path: bool, json: bool) -> None:
    """Print one value, decrypted."""
    try:
        value = session.config.get(_steps(session.config, key, path))
    except LookupError as error:
        raise ConfigurationError(f"configuration key '{key}' not found for stack '{session.stack}'") from error
    say(as_json(_entry(session, value, True)) if json else _text(session, value, True))


@config.command(
    name="set",
    params=[
        _key,
        click.Argument(["value"], required=False),
        switch("--secret", help="Encrypt the value."),
        _path,
        switch("--plaintext", help="Store as it is, which is the default."),
    ],
)
def set_(session: Session, key: str, value: str | None, secret: bool, path: bool, plaintext: bool) -> None:
    """Set one value; without VALUE it is read from standard input."""
    if secret and plaintext:
        raise ConfigurationError("--secret and --plaintext exclude each other")
    if value is None:
        terminal = sys.stdin.isatty()
        value = str(click.prompt("value", hide_input=secret)) if terminal else sys.stdin.read().removesuffix("\n")
    steps = _steps(session.config, key, path)
    inner = path and len(steps) > 1
    session.config.set(steps, {"secure": session.seal(value)} if secret else _typed(value) if inner else value)


@config.command(params=[_key, _path])
def rm(session: Session, key: str, path: bool) -> None:
    """Remove one value."""
    session.config.remove(_steps(session.config, key, path))


def _steps(config: StackConfig, key: str, is_path: bool) -> Path_:
    namespace, colon, name = key.rpartition(":") if is_path and ":" in key.split("[")[0] else ("", "", key)
    steps = parse_path(name) if is_path else [key]
    return [config.full_key(f"{namespace}{colon}{steps[0]}"), *steps[1:]]


def _typed(text: str) -> str | bool | int:
    """Inside objects Pulumi stores ``true``, ``false`` and whole numbers as what they are."""
    if text in ("true", "false"):
        return text == "true"
    return int(text) if text.lstrip("-").isdigit() and str(int(text)) == text else text


def _text(session: Session, value: Any, show: bool) -> str:
    return as_text(open_secure(value, lambda sealed: session.secrets.decrypt(sealed) if show else "[secret]"))


def _entry(session: Session, value: Any, show: bool) -> dict[str, Any]:
    secret = has_secure(value)
    if secret and not show:
        return {"secret": True}
    opened = open_secure(value, lambda sealed: session.secrets.decrypt(sealed))
    structured = {"objectValue": opened} if isinstance(opened, dict | list) else {}
    return {"value": as_text(opened), "secret": secret, **structured}
