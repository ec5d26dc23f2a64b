"""``python -m berth.cli``, which set-up puts at ``.venv/bin/berth``."""

from __future__ import annotations

import sys

import typer

from berth.cli import access, connect, lease, tunnel
from berth.cli.terminal import statuses

app = typer.Typer(
    name="berth",
    help="Passes, devices, nodes and leases of a berth stack.",
    epilog=statuses,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_show_locals=False,  # they could hold keys
)
app.add_typer(access.app, name="access")
app.add_typer(lease.app, name="lease")
app.command("connect")(connect.connect)
app.command("tunnel")(tunnel.tunnel)


def main() -> None:
    """Run the command; the exit status is in :mod:`berth.cli.terminal`."""
    try:
        app(prog_name="berth")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
