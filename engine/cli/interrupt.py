"""Ctrl-C: once asks the operation to end, twice ends it."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

from engine.cli.session import say


@contextlib.contextmanager
def interruptible(release: Callable[[], None]) -> Iterator[threading.Event]:
    """The first SIGINT or SIGTERM sets the event; the second ends the process at once.

    At once means: ``release`` is called (it gives the stack's lock back), nothing is waited for; children end when
    their standard input does.  The state already names the calls under way as pending operations.
    """
    cancel = threading.Event()

    def interrupt(number: int, frame: FrameType | None) -> None:
        if not cancel.is_set():
            cancel.set()
            say("\nCancelling: waiting for the running steps to end; press Ctrl-C again to stop at once", error=True)
            return
        release()
        if sys.stdout.isatty():
            os.write(1, b"\033[?25h")  # a live display hides the cursor
        say("error: stopped; what was under way is recorded as pending: run `pulumi refresh` next", error=True)
        os._exit(8)

    before = {number: signal.signal(number, interrupt) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield cancel
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
