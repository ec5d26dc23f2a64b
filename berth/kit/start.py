"""How a service's process starts and ends: its settings, its log, its exit status."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import TypeVar

from berth.kit import logging
from berth.kit.settings import ServiceSettings, SettingsError

S = TypeVar("S", bound=ServiceSettings)


def start(
    kind: type[S],
    title: str,
    service: str | Callable[[S], str],
    run: Callable[[S], None],
    *,
    failed: str,
    component: str = "service",
    expected: tuple[type[Exception], ...] = (OSError,),
) -> int:
    """Load settings of ``kind``, log as ``service``, and ``run``; returns the exit status.

    2 for wrong settings, which standard error lists under ``title``; 1 where ``run`` raises one of ``expected``, which
    ``component`` logs as ``failed``; else 0.  Call :func:`berth.kit.serve.exit_on_signals` first, before what is run
    is imported: as process 1 of a container a service would ignore SIGTERM meanwhile.
    """
    try:
        settings = kind.load(title)
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logging.configure(service if isinstance(service, str) else service(settings), settings.log_level, settings.levels)
    try:
        run(settings)
    except expected as error:
        logging.get_logger(component).error(failed, reason=str(error))
        return 1
    return 0
