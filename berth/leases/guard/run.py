"""A guard put together, and its socket."""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from berth.kit import logging, metrics, serve
from berth.kit.health import Check, Health
from berth.leases.guard.decide import Decider
from berth.leases.guard.metrics import GuardMetrics
from berth.leases.guard.ownership import Ownership
from berth.leases.guard.policy import GuardPolicy
from berth.leases.guard.proxy import Proxy
from berth.leases.guard.settings import GuardSettings
from berth.leases.guard.upstream import Upstream

_start_seconds: Final = 10.0


def serve_guard(settings: GuardSettings) -> None:
    """Run until SIGTERM or SIGINT."""
    log = logging.get_logger("service")
    registry = metrics.registry()
    upstream = Upstream(settings.docker_socket)
    with guard(settings.guard_policy, upstream, Path(settings.guard_socket), GuardMetrics(registry)) as loop:

        def ping() -> str:
            status, answer = asyncio.run_coroutine_threadsafe(upstream.json("GET", "/version"), loop).result(3)
            if status != 200:
                raise RuntimeError(f"it answered {status}")
            return str(answer["Version"])

        app = serve.make_app("docker-guard", Health([Check("docker", ping)]), registry)
        log.info("guard is serving", role=settings.guard_policy.role, socket=settings.guard_socket)
        serve.run(app, [serve.listen(settings.port, "127.0.0.1")])
    log.info("guard has stopped")


@contextmanager
def guard(
    policy: GuardPolicy, upstream: Upstream, path: Path, counts: GuardMetrics
) -> Iterator[asyncio.AbstractEventLoop]:
    """The proxy on ``path``, in a thread of its own, whose loop this yields."""
    path.unlink(missing_ok=True)
    proxy = Proxy(policy, upstream, Decider(policy, Ownership(policy, upstream)), counts)
    loop = asyncio.new_event_loop()
    started: Future[None] = Future()

    async def listen() -> None:
        server = await asyncio.start_unix_server(proxy.handle, str(path), backlog=512)
        # Who has the volume may ask; the folder stays this guard's, so that nobody takes the socket's place.
        os.chmod(path, 0o666)  # once, before anybody is served
        started.set_result(None)
        async with server:
            await server.serve_forever()

    async def work() -> None:
        try:
            await listen()
        except OSError as error:
            started.set_exception(error)

    task: list[asyncio.Task[None]] = []

    def run() -> None:
        asyncio.set_event_loop(loop)
        task.append(loop.create_task(work()))
        with contextlib.suppress(asyncio.CancelledError):
            loop.run_until_complete(task[0])
        left = asyncio.all_tasks(loop)
        for each in left:
            each.cancel()
        loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        loop.close()

    thread = threading.Thread(target=run, name="guard", daemon=True)
    thread.start()
    try:
        started.result(_start_seconds)
        yield loop
    finally:
        if not loop.is_closed():
            loop.call_soon_threadsafe(task[0].cancel)
        thread.join(_start_seconds)
        path.unlink(missing_ok=True)
