"""Ends asyncio's tasks for good."""

from __future__ import annotations

import asyncio
from typing import Any, Final

_again: Final = 1.0  # seconds


async def end(*tasks: asyncio.Task[Any]) -> None:
    """Cancels tasks until each has ended; what they raise is dropped.

    Once is not enough: before Python 3.12, ``asyncio.wait_for`` (as clients of databases use it) returns its result
    and loses a cancellation that comes in the same turn of the loop (python/cpython#86296).
    """
    waiting = {task for task in tasks if not task.done()}
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=_again)
    await asyncio.gather(*tasks, return_exceptions=True)
