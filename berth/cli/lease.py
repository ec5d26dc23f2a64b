"""``berth lease``: containers for a while."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Final

import typer

from berth.access.client.device import write_private
from berth.cli.lease_caller import Where, asked_of
from berth.cli.terminal import CommandError, ending, no_answer, note, refused, show_json, show_table, span, working
from berth.kit.client import ApiRefused
from berth.leases.client.follow import follow

_wait: Final = 25.0  # seconds that one question to the manager may wait
_starting: Final = ("requested", "creating")

app = typer.Typer(
    help="Containers of your own for a while. A LEASE is a lease's name or id. Who asks is told by a token, by the "
    "wallet that holds a pass, or, where the stack is open to all, by a name.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


LeaseArgument = Annotated[str, typer.Argument(metavar="LEASE", help="Its name or id.")]
JsonOption = Annotated[bool, typer.Option("--json", help="JSON in place of text.")]


@app.command()
@ending
@asked_of
def scenarios(where: Where, as_json: JsonOption = False) -> None:
    """What can be leased."""
    with where.service() as service:
        told = service.scenarios()
    if as_json:
        show_json(told)
        return
    rows = [
        (
            one["name"], one["title"], ", ".join(one["containers"]), f"{one['minMinutes']} to {one['maxMinutes']}",
            f"{one['memoryMib']} MiB", one["cpus"], one["exposure"], "yes" if one["pooled"] else "no",
        )
        for one in told["scenarios"]
    ]  # fmt: skip
    columns = ["scenario", "what", "containers", "minutes", "memory", "CPU", "reached", "at once"]
    show_table(columns, rows, "there is nothing to lease")


@app.command()
@ending
@asked_of
def register(
    where: Where,
    username: Annotated[str, typer.Argument(help="Small letters and digits; dots, dashes and underscores inside.")],
    as_json: JsonOption = False,
) -> None:
    """Take a name, and get the API token that proves it: this once.

    With --token-file the token is written there, for you alone to read; else it is printed.
    """
    if where.token_file is not None and where.token_file.exists():
        raise CommandError(f"{where.token_file} is there already: name another with --token-file")
    with where.service() as service:
        made = service.register(username)
    if where.token_file is not None:
        write_private(where.token_file, made.pop("token") + "\n", replace=False)
        made["file"] = str(where.token_file)
    if as_json:
        show_json(made)
    elif "file" in made:
        typer.echo(f"{username} is yours; the token is in {made['file']}")
    else:
        typer.echo(made["token"])
        note(f"berth: {username} is yours. Keep the token: it is shown this once.")


@app.command()
@ending
@asked_of
def create(
    where: Where,
    scenario: Annotated[str, typer.Argument(help="What to lease; the stack's default where not given.")] = "",
    minutes: Annotated[
        int | None, typer.Option("--minutes", "-m", min=1, help="For how long; the longest where not given.")
    ] = None,
    exposure: Annotated[
        str | None, typer.Option("--exposure", help="public: through the gateway; vpn: through the tunnel only.")
    ] = None,
    token: Annotated[
        str | None, typer.Option("--pass", metavar="TOKEN", help="With vpn: the pass whose device reaches it.")
    ] = None,
    tokens: Annotated[
        int | None, typer.Option("--tokens", min=0, help="Initial tokens, for scenarios that ask.")
    ] = None,
    key: Annotated[
        str | None, typer.Option("--key", help="Idempotency key: the same again gives the same lease.")
    ] = None,
    wait: Annotated[bool, typer.Option(help="Wait until it runs.")] = True,
    timeout: Annotated[float, typer.Option(min=0, help="How long to wait, in seconds.")] = 120.0,
    as_json: JsonOption = False,
) -> None:
    """Lease a container. Ends with 1 where it fails to start, with 3 where it has not started in time."""
    with where.service() as service:
        name = scenario or next(one["name"] for one in service.scenarios()["scenarios"] if one["default"])
        with working(f"leasing {name}"):
            deadline = time.monotonic() + timeout
            # The manager waits for it; the first question as well, so that most need no second.
            patience = min(_wait, timeout) if wait else 0.0
            made = service.create(
                name, minutes, exposure=exposure, token=token, initial_tokens=tokens, key=key, wait=patience
            )
            while wait and made["phase"] in _starting and time.monotonic() < deadline:
                time.sleep(0.5)
                made = service.show(made["id"])
    if as_json:
        show_json(made)
    else:
        _show_leases([made])
    if made["status"] == "error":
        raise CommandError(f"{made['name']} has failed: {(made['failure'] or {}).get('message') or made['why']}")
    if wait and made["phase"] in _starting:
        raise CommandError(f"{made['name']} does not run yet: `berth lease ls` shows how far it is", no_answer)


@app.command("ls")
@ending
@asked_of
def show_list(
    where: Where,
    everyone: Annotated[bool, typer.Option("--all", "-a", help="Everybody's, for operators.")] = False,
    ended: Annotated[bool, typer.Option("--ended", help="Those that ended lately, too.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Your leases, the newest first."""
    with where.service() as service:
        found = service.leases(everyone=everyone, ended=ended)
    if as_json:
        show_json({"containers": found})
    else:
        _show_leases(found, owners=everyone)


@app.command()
@ending
@asked_of
def logs(
    where: Where,
    lease: LeaseArgument,
    following: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on until the lease ends, over breaks of the connection.")
    ] = False,
    after: Annotated[str, typer.Option("--after", metavar="CURSOR", help="Only what came after this cursor.")] = "",
    role: Annotated[str, typer.Option("--role", help="Which of several containers; main where not given.")] = "",
    times: Annotated[bool, typer.Option("--timestamps", "-t", help="Say when each line was written.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with its cursor.")] = False,
) -> None:
    """What a lease writes: its standard output on standard output, its standard error on standard error.

    Gaps, where lines are gone, are told on standard error.
    """
    last = after
    with where.service() as service:
        identifier = service.find(lease)["id"]
        try:
            if following:
                lines = follow(service, identifier, role, after, told=lambda text: note(f"berth: {text}"))
            else:
                lines = service.log(identifier, role, after)
            for line in lines:
                last = line["cursor"]
                _show_line(line, times, as_json)
        except KeyboardInterrupt:
            if last:
                note(f"berth: to go on from here: berth lease logs {lease} --follow --after {last}")
            raise
        except BrokenPipeError:  # whoever reads has enough, as `head` does
            sys.stdout = open(os.devnull, "w")  # noqa: SIM115 (for the interpreter's last flush)
            raise typer.Exit(refused) from None


@app.command()
@ending
@asked_of
def extend(
    where: Where,
    lease: LeaseArgument,
    minutes: Annotated[int, typer.Argument(min=1, help="How many more.")],
    as_json: JsonOption = False,
) -> None:
    """Give a lease more time."""
    with where.service() as service:
        _done(service.extend(service.find(lease)["id"], minutes), as_json)


@app.command()
@ending
@asked_of
def pause(where: Where, lease: LeaseArgument, as_json: JsonOption = False) -> None:
    """Stop a lease where it is; the time that it has left stays."""
    with where.service() as service:
        _done(service.pause(service.find(lease)["id"]), as_json)


@app.command()
@ending
@asked_of
def resume(where: Where, lease: LeaseArgument, as_json: JsonOption = False) -> None:
    """Let a paused lease go on."""
    with where.service() as service:
        _done(service.resume(service.find(lease)["id"]), as_json)


@app.command("open")
@ending
@asked_of
def open_lease(
    where: Where,
    lease: LeaseArgument,
    browser: Annotated[bool, typer.Option("--browser", "-b", help="Open it in a browser here.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Print an address that opens a lease in a browser, for an hour at most. Whoever has it is let in."""
    with where.service() as service:
        found = service.find(lease)
        if found["exposure"] == "vpn":
            raise CommandError(
                f"{found['name']} answers through the tunnel alone: ask for {found['hostname']} at a node's address "
                f"in it, from the device of pass {found.get('pass')}"
            )
        made = service.session(found["id"])
    if as_json:
        show_json(made)
    elif not browser:
        typer.echo(made["url"])
    elif typer.launch(made["url"]) != 0:
        raise CommandError(f"no browser could be opened: open {made['url']}")


@app.command("rm")
@ending
@asked_of
def remove(
    where: Where,
    leases: Annotated[list[str], typer.Argument(metavar="LEASE...", help="Their names or ids.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    wait: Annotated[bool, typer.Option(help="Wait until it is gone.")] = True,
    as_json: JsonOption = False,
) -> None:
    """End leases at once, with all that is in them. Asks first where a person is at the keyboard."""
    done, failed = [], False
    with where.service() as service:
        found = [service.find(name) for name in leases]
        for one in found:
            # A program that calls this has nobody to ask.
            ask = not yes and sys.stdin.isatty()
            if ask and not typer.confirm(f"End {one['name']}, with all that is in it?", err=True):
                failed = True
                continue
            with working(f"ending {one['name']}"):
                try:
                    service.remove(one["id"], _wait if wait else 0.0)
                except ApiRefused as error:
                    note(f"berth: {one['name']}: {error}")
                    failed = True
                else:
                    done.append(one["name"])
    if as_json:
        show_json({"ended": done})
    elif done:
        typer.echo("\n".join(done))
    if failed:
        raise typer.Exit(refused)


def _done(lease: dict[str, Any], as_json: bool) -> None:
    if as_json:
        show_json(lease)
    else:
        _show_leases([lease])


def _show_leases(leases: list[dict[str, Any]], owners: bool = False) -> None:
    columns = ["lease", *(["of"] if owners else []), "scenario", "state", "left", "CPU", "memory", "address"]
    show_table(columns, [_row(one, owners) for one in leases], "none runs")


def _row(lease: Mapping[str, Any], owners: bool) -> list[object]:
    used = lease.get("resources") or {}
    memory = f"{used['memoryBytes'] / 2**20:.0f} of {used['memoryLimitBytes'] / 2**20:.0f} MiB" if used else None
    cpu = f"{used['cpuPercent']:.0f} %" if used else None
    left = None if lease["phase"] == "gone" else span(lease["remainingSeconds"])
    owner = [lease["username"]] if owners else []
    address = f"through the tunnel of pass {lease.get('pass')}" if lease["exposure"] == "vpn" else lease["url"]
    return [lease["name"], *owner, lease["scenarioType"], _state(lease), left, cpu, memory, address]


def _state(lease: Mapping[str, Any]) -> str:
    if lease["phase"] in ("paused", "expiring", "deleting", "gone"):
        word = {"expiring": "ending", "deleting": "ending", "gone": "ended"}.get(lease["phase"], lease["phase"])
        return f"{word}: failed" if lease["status"] == "error" else word
    return "not well" if lease["status"] == "running" and lease["health"] == "unhealthy" else str(lease["status"])


def _show_line(line: Mapping[str, Any], times: bool, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(line))
        return
    if line["type"] != "line":
        note(f"berth: {'gap: ' if line['type'] == 'gap' else ''}{line['message']}")
        return
    stamp = f"{datetime.fromisoformat(line['timestamp']):%Y-%m-%dT%H:%M:%S.%fZ} " if times else ""
    typer.echo(stamp + line["message"], err=line["level"] == "error")
