"""``python -m berth.leases.reaper``: removes what is overdue, with or without a manager."""

from __future__ import annotations

import sys

from berth.kit.serve import exit_on_signals
from berth.kit.start import start


def main() -> int:
    """The exit status: 2 for wrong settings, 1 for a service that cannot start."""
    # First of all: as process 1 of a container it would ignore SIGTERM while it loads the rest.
    exit_on_signals()
    from berth.leases.reaper.service import serve_reaper
    from berth.leases.settings import LeaseSettings

    return start(LeaseSettings, "reaper", "reaper", serve_reaper, failed="reaper cannot start")


if __name__ == "__main__":
    sys.exit(main())
