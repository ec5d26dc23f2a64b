"""Runs inside the program's own interpreter: starts the program, or a server beside it.

    python launcher.py program  <json>      the Pulumi program
    python launcher.py <module> <json>      a server (``pulumi.dynamic``, ``pulumi.policy``) with its standard streams

Imports the standard library and ``pulumi`` only.  Standard input is a pipe from the engine: when the
engine dies, it closes, and this process ends too instead of being left behind.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import runpy
import sys
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from typing import Any

already_shown = 32


def _end_with_engine() -> None:
    def watch() -> None:
        while os.read(0, 4096):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _frames(error: BaseException, root: str) -> str:
    """The traceback, cut to the program's own frames when there are any."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if frame.filename.startswith(root) and "site-packages" not in frame.filename]
    lines = ["Traceback (most recent call last):\n", *traceback.format_list(own or frames)]
    return "".join([*lines, *traceback.format_exception_only(error)]).rstrip()


class _Rounds:
    """The SDK's own ``asyncio``, but that its wait for all outputs hears of many that are done at once.

    It waits for the first of them again and again, which costs as many steps as there are outputs left each time:
    in all, their square.  A pause that grows with their number lets others get done meanwhile.
    """

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)

    async def wait(self, tasks: Any, **options: Any) -> tuple[set[Any], set[Any]]:
        done, rest = await asyncio.wait(tasks, **options)
        if rest:
            await asyncio.sleep(len(rest) / 50_000)
            done |= {task for task in rest if task.done()}
        return done, rest - done


def _run_program(settings: dict[str, Any]) -> int:
    try:
        import pulumi
        import pulumi.runtime
    except ImportError as error:
        sys.stderr.write(f"{error}\nIs the Pulumi SDK (pip install pulumi) installed for {sys.executable}?\n")
        return 1
    if not settings["debug"]:
        # The SDK sends every debug message with a call of its own, several per resource, that nobody would see.
        pulumi.log.debug = lambda *args, **kwargs: None
    pulumi.runtime.set_all_config(pulumi.runtime.get_config_env(), pulumi.runtime.get_config_secret_keys_env())
    pulumi.runtime.configure(pulumi.runtime.Settings(**settings["settings"]))
    pulumi.runtime.stack.asyncio = _Rounds()  # type: ignore[assignment,attr-defined]
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    executor = ThreadPoolExecutor(max_workers=max(settings["settings"]["parallel"], 1) * 4)
    loop.set_default_executor(executor)
    # A program that ends early leaves futures that nobody awaits; asyncio's complaints would hide the error.
    logging.getLogger("asyncio").setLevel(logging.CRITICAL)
    entry = settings["entry"]

    def program() -> None:
        runpy.run_path(entry, run_name="__main__")

    try:
        loop.run_until_complete(pulumi.runtime.run_in_stack(program))
        return 0
    except pulumi.RunError as error:
        pulumi.log.error(str(error))
    except Exception as error:  # noqa: BLE001 - shown, and told by the exit code
        heading = "Program failed with an unhandled exception:\n"
        pulumi.log.error(heading + _frames(error, settings["root"]))
    finally:
        executor.shutdown(wait=True)
        loop.close()
        sys.stdout.flush()
        sys.stderr.flush()
    return already_shown


def main() -> None:
    mode, settings = sys.argv[1], json.loads(sys.argv[2])
    # Else this file's own directory would come first and its neighbours shadow the program's modules.
    sys.path[0] = settings["path"]
    _end_with_engine()
    if mode == "program":
        sys.argv = [settings["entry"]]
        sys.exit(_run_program(settings))
    sys.argv = [mode, *settings["arguments"]]
    runpy.run_module(mode, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
