"""Steps of set-up and how they are told."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Protocol, TextIO

from bootstrap.errors import SetupError
from bootstrap.shell import Shell

NAME_WIDTH = 16
LINE_WIDTH = 110


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
    """Prints each step with its result and time, and what it is doing meanwhile; steps may overlap."""

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        self._live = self._stream.isatty()
        self._lock = threading.Lock()

    def doing(self, step: Step, text: str) -> None:
        line = f"  {step.name:<{NAME_WIDTH}} {text}"
        # On a terminal this line gives way to the next one.
        self._write(f"\r\x1b[K{line[:LINE_WIDTH]}" if self._live else f"{line}\n")

    def end(self, step: Step, result: str, seconds: float, more: str = "") -> None:
        clear = "\r\x1b[K" if self._live else ""
        self._write(f"{clear}  {step.name:<{NAME_WIDTH}} {result} ({seconds:.1f} s)\n{more}")

    def failed(self, step: Step, error: SetupError, seconds: float) -> None:
        output = "".join(f"    | {line}\n" for line in error.output.splitlines())
        self.end(step, "FAILED", seconds, f"{output}    what failed: {error.what}\n    what to do:  {error.todo}\n")

    def _write(self, text: str) -> None:
        with self._lock:
            self._stream.write(text)
            self._stream.flush()


def run_steps(steps: Sequence[Step], context: Context, teller: Teller, stop: threading.Event | None = None) -> bool:
    """Run the steps in order, each only if it is not satisfied. False as soon as one fails, or `stop` is set."""
    for step in steps:
        if stop is not None and stop.is_set():
            return False
        own = replace(context, note=partial(teller.doing, step))
        start = time.monotonic()
        try:
            detail = step.satisfied(own)
            if detail is None:
                detail = f"done: {step.apply(own)}"
        except SetupError as error:
            if stop is not None:
                stop.set()
            teller.failed(step, error, time.monotonic() - start)
            return False
        teller.end(step, detail, time.monotonic() - start)
    return True


def run_lanes(lanes: Sequence[Sequence[Step]], context: Context, teller: Teller) -> bool:
    """Run rows of steps beside each other, each row in order. False if any failed; then none begins another step."""
    stop = threading.Event()
    with ThreadPoolExecutor(max_workers=len(lanes)) as pool:
        return all(list(pool.map(lambda steps: run_steps(steps, context, teller, stop), lanes)))
