"""``pulumi stack ...``"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from engine.backend import codec, history, locks
from engine.backend.errors import Cancelled, ConfigurationError, EngineError, StackNotFound
from engine.backend.state import StateFile
from engine.cli.flags import Command, Flags, Group, shared
from engine.cli.session import Session, say
from engine.model import Snapshot, type_stack, unwrap

_new = click.Path(dir_okay=False, path_type=Path)
_existing = click.Path(exists=True, dir_okay=False, path_type=Path)


@click.group(cls=Group, invoke_without_command=True)
@click.option("--show-secrets", is_flag=True, help="Show secret outputs.")
@shared
@click.pass_context
def stack(ctx: click.Context, flags: Flags, show_secrets: bool) -> None:
    """Manage stacks; alone: describe the current one."""
    if ctx.invoked_subcommand:
        return
    session = Session(flags)
    snapshot = session.state.load()
    managed = [resource for resource in snapshot.resources if not resource.is_provider]
    say(f"Current stack is {session.stack}:\n    Managed by {session.location.url}\n")
    say(f"Current stack resources ({len(managed)}):")
    for resource in managed:
        say(f"    {resource.type}  {resource.name}")
    say(f"\nCurrent stack outputs ({len(_outputs(snapshot))}):")
    for key, value in sorted(_outputs(snapshot).items()):
        say(f"    {key}  {_text(_shown(value, show_secrets))}")


@stack.command(cls=Command)
@click.argument("name", required=False)
@click.option("--no-select", is_flag=True, help="Leave the selection as it is.")
@shared
def init(flags: Flags, name: str | None, no_select: bool) -> None:
    """Create an empty stack and select it."""
    session = Session(flags)
    location = session.location
    wanted = location.short_name(name or flags.stack or "")
    create(session, wanted)
    if not no_select:
        location.select(wanted)
    say(f"Created stack '{wanted}'")


def create(session: Session, name: str) -> None:
    """Make an empty stack, with a salt of its own.  Raises :class:`EngineError` when it exists."""
    location = session.location
    location.ensure()
    file = location.stack_file(name)
    if file.exists():
        raise EngineError(f"stack '{name}' already exists")
    session.flags.stack = session.stack = name  # it cannot be looked up before it exists
    if session.config.salt:
        session.secrets.unlock()
    else:
        from engine.backend.secrets import PassphraseManager

        session.secrets = PassphraseManager.new(lambda: session.phrase)
    session.state.save(Snapshot())


@stack.command(cls=Command)
@click.argument("name", required=False)
@click.option("--create", "-c", "make", is_flag=True, help="Create it if there is none.")
@shared
def select(flags: Flags, name: str | None, make: bool) -> None:
    """Choose the stack that other commands work on."""
    session = Session(flags)
    reference = name or flags.stack
    if not reference:
        raise ConfigurationError(f"name a stack: there are {', '.join(session.location.stacks()) or 'none yet'}")
    try:
        chosen = session.location.resolve(reference)
    except StackNotFound:
        if not make:
            raise
        chosen = session.location.short_name(reference)
        create(session, chosen)
    session.location.select(chosen)


@stack.command()
@click.option("--json", "-j", "as_json", is_flag=True, help="As JSON.")
@shared
def ls(flags: Flags, as_json: bool) -> None:
    """List this project's stacks."""
    session = Session(flags)
    location, selected = session.location, session.location.selected() or ""
    rows = []
    for name in location.stacks():
        latest = StateFile(location.stack_file(name), name, None).raw()
        row: dict[str, Any] = {"name": name, "current": name == selected.rpartition("/")[2]}
        row["lastUpdate"] = (latest.get("manifest") or {}).get("time", "")
        row["updateInProgress"] = bool(locks.read(location.locks(name)))
        row["resourceCount"] = len(latest.get("resources") or [])
        rows.append(row)
    if as_json:
        say(json.dumps(rows, indent=2))
        return
    say(f"{'NAME':<24}{'LAST UPDATE':<30}RESOURCE COUNT")
    for row in rows:
        name = f"{row['name']}{'*' if row['current'] else ''}"
        say(f"{name:<24}{str(row['lastUpdate'])[:19]:<30}{row['resourceCount']}")


@stack.command(cls=Command)
@click.argument("key", required=False)
@click.option("--json", "-j", "as_json", is_flag=True, help="As JSON.")
@click.option("--show-secrets", is_flag=True, help="Show secret outputs.")
@shared
def output(flags: Flags, key: str | None, as_json: bool, show_secrets: bool) -> None:
    """Print the stack's outputs, or one of them."""
    session = Session(flags)
    outputs = _outputs(session.state.load())
    if key is not None:
        if key not in outputs:
            known = ", ".join(sorted(outputs)) or "none"
            raise EngineError(f"stack '{session.stack}' does not have output '{key}' (there are: {known})")
        value = _shown(outputs[key], show_secrets)
        say(json.dumps(value, indent=2, ensure_ascii=False) if as_json else _text(value))
        return
    shown = {name: _shown(value, show_secrets) for name, value in sorted(outputs.items())}
    if as_json:
        say(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    say(f"Current stack outputs ({len(shown)}):")
    width = max((len(name) for name in shown), default=0)
    for name, value in shown.items():
        say(f"    {name:<{width}}  {_text(value)}")


@stack.command(cls=Command)
@click.option("--file", "path", type=_new, help="Write here instead of standard output.")
@click.option("--show-secrets", is_flag=True, help="Secrets in plain text.")
@shared
def export(flags: Flags, path: Path | None, show_secrets: bool) -> None:
    """Print the stack's state."""
    session = Session(flags)
    deployment = StateFile(session.location.stack_file(session.stack), session.qualified, None).raw()
    if show_secrets and (manager := session.state.manager_of(deployment.get("secrets_providers"))):
        deployment = codec.encode(codec.decode(deployment, manager.decrypt), codec.sealed(str, "plaintext"))
    document = json.dumps({"version": 3, "deployment": deployment}, indent=4, ensure_ascii=False) + "\n"
    if path:
        path.write_text(document, encoding="utf-8")
    else:
        sys.stdout.write(document)


@stack.command(name="import", cls=Command)
@click.option("--file", "path", type=_existing, help="Read this instead of standard input.")
@click.option("--force", "-f", is_flag=True, help="Even if it belongs to another stack.")
@shared
def import_(flags: Flags, path: Path | None, force: bool) -> None:
    """Replace the stack's state by an exported one."""
    session = Session(flags)
    text = path.read_text(encoding="utf-8") if path else sys.stdin.read()
    try:
        data = json.loads(text)
        version, deployment = data["version"], data["deployment"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{path or 'standard input'} is not an exported state ({error}): nothing was changed"
        ) from error
    checkpoint = {"version": version, "features": data.get("features"), "checkpoint": {"latest": deployment}}
    snapshot = session.state.parse(json.dumps(checkpoint))
    own = f"urn:pulumi:{session.stack}::{session.project.name}::"
    foreign = [resource.urn for resource in snapshot.resources if not resource.urn.startswith(own)]
    if foreign and not force:
        raise ConfigurationError(f"{foreign[0]} belongs to another stack or project: use --force if that is meant")
    with locks.held(session.location.locks(session.stack), session.stack):
        session.state.save(snapshot)
    say("Import complete.")


@stack.command(cls=Command)
@click.argument("name", required=False)
@click.option("--force", "-f", is_flag=True, help="Even if it still has resources, which are forgotten, not deleted.")
@click.option("--preserve-config", is_flag=True, help="Keep the stack's YAML file.")
@shared
def rm(flags: Flags, name: str | None, force: bool, preserve_config: bool) -> None:
    """Remove a stack and its configuration."""
    flags.stack = name or flags.stack
    session = Session(flags)
    chosen, location = session.stack, session.location
    if not flags.yes and session.confirm(f"This will permanently remove the '{chosen}' stack! Go on?") == "no":
        raise Cancelled("confirmation declined, not removing the stack")
    file = location.stack_file(chosen)
    with locks.held(location.locks(chosen), chosen):
        if not force:
            resources = StateFile(file, chosen, None).raw().get("resources") or []
            if any(resource.get("type") != type_stack for resource in resources):
                raise EngineError(
                    f"'{chosen}' still has {len(resources)} resource(s); removal rejected. Run `pulumi destroy` first, "
                    "or use --force to forget them (they will go on existing)"
                )
        file.replace(f"{file}.bak")
        history.forget(location, chosen)
    if not preserve_config:
        session.config.path.unlink(missing_ok=True)
    if (location.selected() or "").rpartition("/")[2] == chosen:
        location.select(None)
    say(f"Stack '{chosen}' has been removed!")


def _outputs(snapshot: Snapshot) -> dict[str, Any]:
    resource = snapshot.stack()
    return resource.outputs if resource else {}


def _shown(value: Any, show_secrets: bool) -> Any:
    """A value for people and for JSON: secrets masked unless asked for."""
    return codec.encode(unwrap(value) if show_secrets else value)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
