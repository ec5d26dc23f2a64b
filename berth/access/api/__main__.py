"""``python -m berth.access.api``: the access API."""

from __future__ import annotations

import sys

from berth.kit import logging, serve
from berth.kit.settings import SettingsError


def main() -> int:
    """The exit status: 2 for wrong settings, 1 for a service that cannot start."""
    # First of all: as process 1 of a container it would ignore SIGTERM while it loads the rest (some seconds).
    serve.exit_on_signals()
    from berth.access.api.run import serve_api
    from berth.access.api.settings import ApiSettings

    try:
        settings = ApiSettings.load("access API")
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logging.configure("access-api", settings.log_level)
    try:
        serve_api(settings)
    except OSError as error:
        logging.get_logger("service").error("access API cannot start", reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
