"""``python -m berth.access.api``: the access API."""

from __future__ import annotations

import sys

from berth.kit.serve import exit_on_signals
from berth.kit.start import start


def main() -> int:
    """The exit status: 2 for wrong settings, 1 for a service that cannot start."""
    # First of all: as process 1 of a container it would ignore SIGTERM while it loads the rest (some seconds).
    exit_on_signals()
    from berth.access.api.run import serve_api
    from berth.access.api.settings import ApiSettings

    return start(ApiSettings, "access API", "access-api", serve_api, failed="access API cannot start")


if __name__ == "__main__":
    sys.exit(main())
