"""``python -m berth.leases``: the lease manager."""

from __future__ import annotations

import sys

from berth.kit import logging, serve
from berth.kit.settings import SettingsError


def main() -> int:
    """The exit status: 2 for wrong settings, 1 for a service that cannot start."""
    # First of all: as process 1 of a container it would ignore SIGTERM while it loads the rest (some seconds).
    serve.exit_on_signals()
    from berth.leases.run import serve_leases
    from berth.leases.settings import ManagerSettings

    try:
        settings = ManagerSettings.load("lease manager")
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logging.configure("leases", settings.log_level)
    try:
        serve_leases(settings)
    except OSError as error:
        logging.get_logger("service").error("lease manager cannot start", reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
