"""``pulumi stack ...`` and ``pulumi cancel``"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from engine.backend import codec, history, locks
from engine.backend.errors import ConfigurationError, EngineError, StackNotFound
from engine.backend.secrets import PassphraseManager
from engine.backend.state import StateFile, version_of
from engine.cli.flags import Command, Group, option, switch
from engine.cli.session import Session, as_json, say, table
from engine.model import Snapshot, type_stack, unwrap

_name = click.Argument(["name"], required=False)
_json = switch("--json", "-j", help="As JSON.")
_show_secrets = switch("--show-secrets", help="In plain text.")


@click.command(cls=Group, invoke_without_command=True, params=[_show_secrets])
def stack(session: Session, show_secrets: bool) -> None:
    """Manage stacks; alone: describe the current one."""
    snapshot = session.state.load()
    managed = [resource for resource in snapshot.resources if not resource.is_provider]
    say(f"Current stack is {session.stack}:\n    Managed by {session.location.url}\n")
    say(f"Current stack resources ({len(managed)}):")
    table(((resource.type, resource.name) for resource in managed), " " * 4)
    say()
    _list(_outputs(snapshot, show_secrets))


@stack.command(params=[_name, switch("--no-select", help="Leave the selection as it is.")])
def init(session: Session, name: str | None, no_select: bool) -> None:
    """Create an empty stack and select it."""
    wanted = session.location.short_name(name or session.flags.stack or "")
    make(session, wanted)
    if not no_select:
        session.location.select(wanted)
    say(f"Created stack '{wanted}'")


def make(session: Session, name: str) -> None:
    """Make an empty stack, with a salt of its own.  Raises :class:`EngineError` when it exists."""
    session.location.ensure()
    if session.location.stack_file(name).exists():
        raise EngineError(f"stack '{name}' already exists")
    session.flags.stack = session.stack = name  # it cannot be looked up before it exists
    if session.config.salt:
        session.secrets.unlock()
    else:
        session.secrets = PassphraseManager.new(session.phrase)
    session.state.save(Snapshot())


@stack.command(params=[_name, switch("--create", "-c", help="Create it if there is none.")])
def select(session: Session, name: str | None, create: bool) -> None:
    """Choose the stack that other commands work on."""
    location, reference = session.location, name or session.flags.stack
    if not reference:
        raise ConfigurationError(f"name a stack: there are {', '.join(location.stacks()) or 'none yet'}")
    try:
        chosen = location.resolve(reference)
    except StackNotFound:
        if not create:
            raise
        chosen = location.short_name(reference)
        make(session, chosen)
    location.select(chosen)


@stack.command(params=[_json])
def ls(session: Session, json: bool) -> None:
    """List this project's stacks."""
    location, selected = session.location, session.location.selected() or ""
    rows: list[dict[str, Any]] = []
    for name in location.stacks():
        latest = StateFile(location.stack_file(name), name, None).raw()
        row = {"name": name, "current": name == selected.rpartition("/")[2]}
        row["lastUpdate"] = (latest.get("manifest") or {}).get("time", "")
        row["updateInProgress"] = bool(locks.read(location.locks(name)))
        rows.append({**row, "resourceCount": len(latest.get("resources") or [])})
    if json:
        say(as_json(rows))
        return
    shown = ((f"{r['name']}{'*' if r['current'] else ''}", r["lastUpdate"][:19], str(r["resourceCount"])) for r in rows)
    table([("NAME", "LAST UPDATE", "RESOURCE COUNT"), *shown])


@stack.command(params=[click.Argument(["key"], required=False), _json, _show_secrets])
def output(session: Session, key: str | None, json: bool, show_secrets: bool) -> None:
    """Print the stack's outputs, or one of them."""
    outputs = _outputs(session.state.load(), show_secrets)
    if key is not None and key not in outputs:
        known = ", ".join(outputs) or "none"
        raise EngineError(f"stack '{session.stack}' does not have output '{key}' (there are: {known})")
    shown = outputs if key is None else outputs[key]
    if json:
        say(as_json(shown))
    elif key is None:
        _list(outputs)
    else:
        say(_text(shown))


@stack.command(params=[option("--file", help="Write here instead of standard output."), _show_secrets])
def export(session: Session, file: str | None, show_secrets: bool) -> None:
    """Print the stack's state."""
    deployment = session.raw()
    if show_secrets and (manager := session.state.manager_of(deployment.get("secrets_providers"))):
        deployment = codec.encode(codec.decode(deployment, manager.decrypt), codec.sealed(str, "plaintext"))
    head = version_of(deployment.get("resources") or [])
    document = as_json({**head, "deployment": deployment}, 4) + "\n"
    if file:
        Path(file).write_text(document, encoding="utf-8")
    else:
        sys.stdout.write(document)


@stack.command(
    name="import",
    params=[
        option("--file", help="Read this instead of standard input."),
        switch("--force", "-f", help="Even if it belongs to another stack."),
    ],
)
def import_(session: Session, file: str | None, force: bool) -> None:
    """Replace the stack's state by an exported one."""
    text = Path(file).read_text(encoding="utf-8") if file else sys.stdin.read()
    try:
        data = json.loads(text)
        version, deployment = data["version"], data["deployment"]
    except (ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(
            f"{file or 'standard input'} is not an exported state ({error}): nothing was changed"
        ) from error
    checkpoint = {"version": version, "features": data.get("features"), "checkpoint": {"latest": deployment}}
    snapshot = session.state.parse(checkpoint)
    own = f"urn:pulumi:{session.stack}::{session.project.name}::"
    foreign = [resource.urn for resource in snapshot.resources if not resource.urn.startswith(own)]
    if foreign and not force:
        raise ConfigurationError(f"{foreign[0]} belongs to another stack or project: use --force if that is meant")
    with locks.held(session.location.locks(session.stack), session.stack):
        session.state.save(snapshot)
    say("Import complete.")


@stack.command(
    params=[
        _name,
        switch("--force", "-f", help="Even if it still has resources, which are forgotten, not deleted."),
        switch("--preserve-config", help="Keep the stack's YAML file."),
    ]
)
def rm(session: Session, name: str | None, force: bool, preserve_config: bool) -> None:
    """Remove a stack and its configuration."""
    session.flags.stack = name or session.flags.stack
    chosen, location = session.stack, session.location
    session.approve(f"This will permanently remove the '{chosen}' stack! Go on?", "not removing the stack")
    with locks.held(location.locks(chosen), chosen):
        resources = [] if force else session.raw().get("resources") or []
        if any(resource.get("type") != type_stack for resource in resources):
            raise EngineError(
                f"'{chosen}' still has {len(resources)} resource(s); removal rejected. Run `pulumi destroy` first, "
                "or use --force to forget them (they will go on existing)"
            )
        file = location.stack_file(chosen)
        file.replace(f"{file}.bak")
        history.forget(location, chosen)
    if not preserve_config:
        session.config.path.unlink(missing_ok=True)
    if (location.selected() or "").rpartition("/")[2] == chosen:
        location.select(None)
    say(f"Stack '{chosen}' has been removed!")


@click.command(cls=Command, params=[_name])
def cancel(session: Session, name: str | None) -> None:
    """Remove the locks of a stack whose operation is gone."""
    session.flags.stack = name or session.flags.stack
    directory = session.location.locks(session.stack)
    held = locks.read(directory)
    if not held:
        say(f"the stack '{session.stack}' is not locked")
    elif not all(lock.dead for lock in held):
        who = "; ".join(str(lock) for lock in held)
        question = f"Locked by {who}. If that is still running, the state may be lost. Remove the lock?"
        session.approve(question, "the lock stays")
    for lock in locks.remove(directory):
        say(f"removed the lock of {lock}")


def _outputs(snapshot: Snapshot, show_secrets: bool) -> dict[str, Any]:
    """By name, for people and for JSON: secrets masked unless asked for."""
    resource = snapshot.stack()
    outputs = dict(sorted(resource.outputs.items())) if resource else {}
    shown: dict[str, Any] = codec.encode(unwrap(outputs) if show_secrets else outputs)
    return shown


def _list(outputs: dict[str, Any]) -> None:
    say(f"Current stack outputs ({len(outputs)}):")
    table(((name, _text(value)) for name, value in outputs.items()), " " * 4)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
