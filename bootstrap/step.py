"""Steps of set-up and how they are told."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TextIO

from bootstrap.errors import SetupError
from bootstrap.shell import Shell

NAME_WIDTH = 16


@dataclass
class Context:
    """What every step works with.

    Attributes:
        root: the checkout.
        stack: the stack that is going to be used.
        shell: runs commands.
        exports: environment variables that later commands need (written to `.berth/env`).
        note: tells what a long step is doing.
    """

    root: Path
    stack: str
    shell: Shell
    exports: dict[str, str] = field(default_factory=dict)
    note: Callable[[str], None] = lambda text: None

    @property
    def home(self) -> Path:
        """Where set-up keeps what belongs to this machine alone."""
        return self.root / ".berth"

    @property
    def venv(self) -> Path:
        return self.root / ".venv"


class Step(Protocol):
    """One thing that has to be there."""

    name: str

    def satisfied(self, context: Context) -> str | None:
        """What is there already, in a few words; None when `apply` has to run. Must be quick."""

    def apply(self, context: Context) -> str:
        """Make it so; returns what was done. Raises SetupError."""


class Teller:
    """Prints each step with its result and time; on a terminal also what it is doing now."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._live = self._stream.isatty()

    def begin(self, step: Step, doing: str = "") -> None:
        if not doing and not self._live:
            return
        line = f"  {step.name:<{NAME_WIDTH}} {doing or '...'}"
        self._stream.write(f"\r\x1b[K{line[:110]}" if self._live else f"{line}\n")
        self._stream.flush()

    def end(self, step: Step, result: str, seconds: float) -> None:
        clear = "\r\x1b[K" if self._live else ""
        self._stream.write(f"{clear}  {step.name:<{NAME_WIDTH}} {result} ({seconds:.1f} s)\n")
        self._stream.flush()

    def failed(self, step: Step, error: SetupError, seconds: float) -> None:
        self.end(step, "FAILED", seconds)
        if error.output:
            self._stream.write("".join(f"    | {line}\n" for line in error.output.splitlines()))
        self._stream.write(f"    what failed: {error.what}\n    what to do:  {error.todo}\n")
        self._stream.flush()


def run_steps(steps: Sequence[Step], context: Context, teller: Teller) -> bool:
    """Run the steps in order, each only if it is not satisfied. False as soon as one fails."""
    for step in steps:
        start = time.monotonic()
        try:
            detail = step.satisfied(context)
            if detail is None:
                teller.begin(step)
                context.note = lambda text, step=step: teller.begin(step, text)  # type: ignore[misc]
                detail = f"done: {step.apply(context)}"
        except SetupError as error:
            teller.failed(step, error, time.monotonic() - start)
            return False
        teller.end(step, detail, time.monotonic() - start)
    return True
