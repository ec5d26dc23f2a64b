"""``python -m berth.leases.reaper``: removes what is overdue, with or without a manager."""

from __future__ import annotations

import asyncio
import sys

from berth.kit import logging, serve
from berth.kit.settings import SettingsError


def main() -> int:
    """The exit status: 2 for wrong settings, 1 for a service that cannot start."""
    # First of all: as process 1 of a container it would ignore SIGTERM while it loads the rest.
    serve.exit_on_signals()
    from berth.leases.reaper.service import serve_reaper
    from berth.leases.settings import LeaseSettings

    try:
        settings = LeaseSettings.load("reaper")
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logging.configure("reaper", settings.log_level)
    try:
        asyncio.run(serve_reaper(settings))
    except OSError as error:
        logging.get_logger("service").error("reaper cannot start", reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
