"""``berth tunnel``: carries this machine's WireGuard through a TCP bridge, where UDP is blocked."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Annotated, Final

import typer
from rich.console import Console
from rich.live import Live
from rich.table import Table

from berth.access.client.device import PeerLines, peers_in
from berth.access.client.errors import NothingToUse
from berth.access.client.tunnel import bridges as known
from berth.access.client.tunnel import program
from berth.access.client.tunnel.bridges import Bridge, Source, local_port
from berth.access.client.tunnel.keeper import Keeper, Status, choose
from berth.access.client.tunnel.peers import Interface
from berth.cli import stack
from berth.cli.terminal import CommandError, ending, note, show_json, size, working

_look_every: Final = 0.5  # seconds
_default_file: Final = Path("berth.conf")


@ending
def tunnel(
    config: Annotated[
        Path | None,
        typer.Option(
            "--config",
            "-c",
            help="The configuration that `berth connect --udp-blocked` wrote: says which node is preferred and where "
            "WireGuard sends. ./berth.conf if it is there.",
        ),
    ] = None,
    url: stack.Url = "",
    stack_name: stack.StackName = "dev",
    registry: Annotated[
        str,
        typer.Option("--registry", metavar="ADDRESS", help="Ask NodeRegistry for the bridges instead; needs --rpc."),
    ] = "",
    rpc: Annotated[
        list[str] | None, typer.Option("--rpc", metavar="URL", help="JSON-RPC endpoint of the chain; may be repeated.")
    ] = None,
    chain_id: Annotated[int, typer.Option("--chain-id", help="The chain's id, for --registry.")] = 8453,
    server: Annotated[
        list[str] | None,
        typer.Option(
            "--server", metavar="[NODE=]HOST:PORT", help="Use this bridge and ask nobody; may be repeated, best first."
        ),
    ] = None,
    node: Annotated[str, typer.Option("--node", metavar="ID", help="The preferred node; else that of --config.")] = "",
    interface: Annotated[
        str,
        typer.Option(
            "--interface",
            "-i",
            help="WireGuard interface to move to another node's peer when a node is gone (root). "
            "As root, that of --config.",
        ),
    ] = "",
    listen: Annotated[
        str,
        typer.Option(
            "--listen", metavar="HOST:PORT", help=f"Where WireGuard sends: that of --config, or 127.0.0.1:{local_port}."
        ),
    ] = "",
    fwmark: Annotated[
        int,
        typer.Option(
            "--fwmark", help="Mark of the TCP connection, so that a default route into the tunnel spares it (root)."
        ),
    ] = 0,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line, whenever something changes.")
    ] = False,
) -> None:
    """Carry WireGuard through a TCP bridge of the stack, for networks that block UDP. Runs until Ctrl-C.

    Keeps the list of bridges fresh, and changes to another one by itself when one is gone: the session goes on. When
    its node is gone as well, it moves the interface to the peer of another node, which needs root.
    """
    plan = _plan(config, node, interface, listen)
    source = _source(url, stack_name, registry, rpc or [], chain_id, server or [])
    with working("asking for the bridges"):
        found = source()
    plan = _named(plan, found)
    mover = Interface(plan.interface) if plan.interface else None
    usable = choose(found, plan.node, anywhere=mover is not None)
    if not usable:
        there_are = ", ".join(sorted({one.node for one in found if one.node})) or "none"
        raise NothingToUse(
            f"there is no bridge before {plan.node or 'any node'} right now; nodes with bridges: {there_are}"
        )
    shown = _Shown(as_json, plan)
    stopping = _on_signals()
    end = program.Program(program.find(stack_name), plan.listen, usable, nudge=plan.nudge, fwmark=fwmark)
    with end as running:
        keeper = Keeper(running, source, plan.node, plan.listen, mover, shown.say)
        keeper.learn(found)
        if not server:
            keeper.start()
        try:
            with shown:
                while not stopping.wait(_look_every):
                    shown.update(keeper.step())
        finally:
            keeper.stop()


@dataclass(frozen=True)
class _Plan:
    """``key``: of the node that the configuration names first; ``nudge``: that node, inside the tunnel."""

    node: str
    key: str
    interface: str
    listen: str
    nudge: str


def _plan(config: Path | None, node: str, interface: str, listen: str) -> _Plan:
    """From the options and the configuration."""
    file = config or (_default_file if _default_file.is_file() else None)
    first = PeerLines("", "")
    if file is not None:
        first = peers_in(file)[0]
        if not listen and not first.bridged:
            raise CommandError(
                f"{file} leads straight to {first.endpoint or 'nowhere'}: write one for a bridge with "
                "`berth connect --udp-blocked`, or with --move as well if the machine is a device already"
            )
        if not interface and os.geteuid() == 0:
            interface = file.stem
    listen = listen or first.endpoint or f"127.0.0.1:{local_port}"
    return _Plan(node, first.key, interface, listen, known.nudge(first.allowed))


def _named(plan: _Plan, found: Sequence[Bridge]) -> _Plan:
    """With the node's name: as given, else by its key, else whose bridge comes first."""
    by_key = next((one.node for one in found if plan.key and one.key == plan.key), "")
    first = "" if plan.key else next((one.node for one in found), "")
    return replace(plan, node=plan.node or by_key or first)


def _source(
    url: str, stack_name: str, registry: str, rpc: Sequence[str], chain_id: int, server: Sequence[str]
) -> Source:
    if server:
        if url or registry:
            raise CommandError("--server, --registry and --url are three places to ask: name one", 2)
        given = [Bridge.parse(each) for each in server]
        return lambda: given
    if registry:
        if url or not rpc:
            raise CommandError("--registry needs --rpc, and no --url", 2)
        return known.from_registry(rpc, chain_id, registry)
    return known.from_service(url or str(stack.output(stack.outputs(stack_name), "url", stack_name)))


def _on_signals() -> threading.Event:
    """Set on Ctrl-C, on SIGTERM and when the terminal goes, so that everything ends in order."""
    stopping = threading.Event()

    def stop(_signal: int, _frame: FrameType | None) -> None:
        stopping.set()

    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, stop)
    return stopping


class _Shown:
    """What people see: on a terminal a few lines that stay current, else a line for each change; a context manager."""

    def __init__(self, as_json: bool, plan: _Plan) -> None:
        self._json, self._plan = as_json, plan
        self._console = Console(stderr=True, highlight=False, soft_wrap=True)
        self._live = Live(console=self._console, auto_refresh=False) if self._console.is_terminal else None
        self._last: tuple[object, ...] | None = None
        self._since = time.monotonic()

    def __enter__(self) -> None:
        if not self._json:
            note(
                f"berth: WireGuard's way through a bridge is open at {self._plan.listen}"
                + (f"; {self._plan.interface} follows it to other nodes" if self._plan.interface else "")
                + ". Ctrl-C ends it."
            )
        if self._live and not self._json:
            self._live.start()

    def __exit__(self, *_: object) -> None:
        if self._live and not self._json:
            self._live.stop()
        if not self._json:
            note("berth: the tunnel through the bridge is closed")

    def say(self, text: str) -> None:
        if self._json:
            show_json({"said": text}, lines=True)
        else:
            note(f"berth: {text}")

    def update(self, status: Status) -> None:
        now = (status.endpoint, status.node, status.waiting, status.failovers, status.peer, *sorted(status.faults))
        changed = now != self._last
        if changed and (self._last is None or self._last[0] != status.endpoint):
            self._since = time.monotonic()
        self._last = now
        if self._json:
            if changed:
                show_json(_members(status), lines=True)
        elif self._live:
            self._live.update(_table(status, time.monotonic() - self._since), refresh=True)
        elif changed:
            note(f"berth: {_line(status)}")


def _members(status: Status) -> dict[str, object]:
    return {
        "node": status.node or None,
        "bridge": status.endpoint or None,
        "connected": not status.waiting,
        "milliseconds": None if status.rtt is None else round(status.rtt, 2),
        "sent": status.sent,
        "received": status.received,
        "dropped": status.dropped,
        "failovers": status.failovers,
        "peer": status.peer,
        "faults": dict(status.faults),
    }


def _state(status: Status) -> str:
    if not status.endpoint:
        return "no bridge answers" if status.faults else "waiting for WireGuard to send something"
    if status.waiting:
        return "waiting for WireGuard to send something"
    if status.peer not in (None, status.node):
        return f"the interface still speaks to {status.peer}"
    return "connected"


def _line(status: Status) -> str:
    parts = [_state(status)]
    if status.endpoint:
        parts.append(f"{status.node or 'bridge'} at {status.endpoint}")
    if status.rtt is not None:
        parts.append(f"{status.rtt:.1f} ms")
    parts.append(f"{status.failovers} failovers, {status.dropped} dropped")
    return ", ".join(parts) + "".join(f"; {address}: {why}" for address, why in sorted(status.faults.items()))


def _table(status: Status, seconds: float) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    table.add_row("state", _state(status))
    where = f"{status.node or 'bridge'} at {status.endpoint}" if status.endpoint else "-"
    table.add_row("server", f"{where}, for {seconds:.0f} s" if status.endpoint else where)
    table.add_row("round trip", "-" if status.rtt is None else f"{status.rtt:.1f} ms")
    table.add_row("sent, received", f"{size(status.sent)}, {size(status.received)}")
    table.add_row("dropped", f"{status.dropped} datagrams")
    table.add_row("failovers", str(status.failovers))
    for address, why in sorted(status.faults.items()):
        table.add_row("not working", f"{address}: {why}")
    return table
