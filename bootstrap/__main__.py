"""`python3 -m bootstrap [setup | checks | closing | clean | leftovers] [--stack NAME]`: see `make help`."""

from __future__ import annotations

import argparse
import fcntl
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

if sys.version_info < (3, 11):  # noqa: UP036 (this runs before anything has checked)
    sys.exit("set-up: Python 3.11 or newer is needed; name one with make PYTHON=python3.11")

from bootstrap import environment
from bootstrap.base import BaseImage
from bootstrap.clean import clean, leftovers
from bootstrap.closing import closing
from bootstrap.command import Command
from bootstrap.docker import Docker
from bootstrap.engine import Engine
from bootstrap.errors import SetupError
from bootstrap.node import NodePackages
from bootstrap.shell import Shell
from bootstrap.stack import Stack, project
from bootstrap.step import Context, Step, Teller, run_lanes
from bootstrap.tunnel import Tunnel
from bootstrap.venv import Venv

ROOT = Path(__file__).resolve().parent.parent


def stages() -> list[list[list[Step]]]:
    """Stages one after the other; in each, rows of steps that run beside each other.

    A step stands after what it uses. Making the base image and installing packages take the longest
    and need nothing of each other.
    """
    return [
        [[Docker(), Tunnel()]],
        [[Venv(), Command(), NodePackages(), Engine()], [BaseImage()]],
        [[Stack()]],
    ]


def checks() -> list[list[list[Step]]]:
    """What only lint and tests need, after set-up: the image of the web page is built without it."""
    return [[[NodePackages("web", "Web packages")]]]


def prepare(context: Context) -> int:
    return 0 if all(run_lanes(lanes, context, Teller()) for lanes in checks()) else 1


def set_up(context: Context) -> int:
    start = time.monotonic()
    print(f"set-up for stack {context.stack}", flush=True)
    context.home.mkdir(exist_ok=True)
    with (context.home / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            print("  another set-up is running in this checkout; waiting for it", flush=True)
            fcntl.flock(lock, fcntl.LOCK_EX)
        teller = Teller()
        done = all(run_lanes(lanes, context, teller) for lanes in stages())
        environment.write(context)
    print(f"set-up {'done' if done else 'stopped'} after {time.monotonic() - start:.1f} s", flush=True)
    return 0 if done else 1


def remove(context: Context, everything: bool) -> int:
    try:
        removed = leftovers(context) if everything else clean(context, project(context))
    except SetupError as error:
        if error.output:
            print(error.output, file=sys.stderr)
        print(f"what failed: {error.what}\nwhat to do:  {error.todo}", file=sys.stderr)
        return 1
    for one in removed:
        print(f"  removed {one}")
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bootstrap", description="Set-up of this checkout.")
    parser.add_argument(
        "task", nargs="?", choices=("setup", "checks", "closing", "clean", "leftovers"), default="setup"
    )
    parser.add_argument("--stack", default="dev")
    options = parser.parse_args(arguments)
    context = Context(ROOT, options.stack, Shell(ROOT, os.environ))
    if options.task == "setup":
        return set_up(context)
    if options.task == "checks":
        return prepare(context)
    if options.task == "closing":
        print(f"\n{closing(context)}")
        return 0
    return remove(context, everything=options.task == "leftovers")


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("set-up: interrupted; run it again to go on where it stopped")
