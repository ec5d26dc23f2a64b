"""``python -m berth.leases.guard``: a filtered Docker proxy."""

from __future__ import annotations

import sys

from berth.kit import logging, serve
from berth.kit.settings import SettingsError


def main() -> int:
    """The exit status: 2 for wrong settings, 1 for a service that cannot start."""
    # First of all: as process 1 of a container it would ignore SIGTERM while it loads the rest.
    serve.exit_on_signals()
    from berth.leases.guard.run import serve_guard
    from berth.leases.guard.settings import GuardSettings

    try:
        settings = GuardSettings.load("Docker guard")
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logging.configure(f"{settings.guard_policy.role}-guard", settings.log_level)
    try:
        serve_guard(settings)
    except OSError as error:
        logging.get_logger("service").error("guard cannot start", reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
