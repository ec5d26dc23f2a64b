"""Tasks end, those too that lose a cancellation."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from berth.kit.tasks import end


async def _deaf(times: int) -> None:
    for _ in range(times):
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
    await asyncio.sleep(60)


def test_a_lost_cancellation_is_said_again() -> None:
    async def run() -> list[bool]:
        tasks = [asyncio.create_task(_deaf(times)) for times in (0, 1, 2)]
        await asyncio.sleep(0)
        await end(*tasks)
        return [task.cancelled() for task in tasks]

    assert asyncio.run(asyncio.wait_for(run(), 5)) == [True, True, True]


def test_what_ended_or_failed_before_is_no_trouble() -> None:
    async def run() -> bool:
        async def fail() -> None:
            raise ValueError("already")

        task = asyncio.create_task(fail())
        await asyncio.sleep(0)
        await end(task)
        await end()
        return task.done()

    assert asyncio.run(run())
