"""Runs wg, ip and nft: argument lists only, bounded in time, secrets by standard input or file."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from typing import Final, Protocol

from berth.vpn.errors import CommandFailed

time_limit: Final = 20.0  # seconds; the largest change measured (10,000 peers) takes one


class Runner(Protocol):
    """Runs one command to its end and returns its standard output; CommandFailed when it does not succeed."""

    def __call__(self, command: Sequence[str], stdin: str = "") -> str: ...


def run(command: Sequence[str], stdin: str = "") -> str:
    """The real :class:`Runner`."""
    # Arguments that are keys of peers would fill the log: the first few words say what it was.
    shown = " ".join(command[:3])
    try:
        done = subprocess.run(
            command, input=stdin, capture_output=True, text=True, encoding="utf-8", timeout=time_limit, check=False
        )
    except FileNotFoundError:
        raise CommandFailed(f"`{command[0]}` is not installed: is this the WireGuard node's image?") from None
    except OSError as error:  # no process or descriptor left: whoever changes peers must know, to put them back
        raise CommandFailed(f"`{shown}` could not be started: {error}") from None
    except subprocess.TimeoutExpired:
        raise CommandFailed(f"`{shown}` did not end within {time_limit:g} s") from None
    if done.returncode:
        reason = done.stderr.strip() or f"exit status {done.returncode}"
        raise CommandFailed(f"`{shown}` failed: {reason}")
    return done.stdout
