"""``python -m berth.leases``: the lease manager."""

from __future__ import annotations

import sys

from berth.kit.serve import exit_on_signals
from berth.kit.start import start


def main() -> int:
    """The exit status: 2 for wrong settings, 1 for a service that cannot start."""
    # First of all: as process 1 of a container it would ignore SIGTERM while it loads the rest (some seconds).
    exit_on_signals()
    from berth.leases.run import serve_leases
    from berth.leases.settings import ManagerSettings

    return start(ManagerSettings, "lease manager", "leases", serve_leases, failed="lease manager cannot start")


if __name__ == "__main__":
    sys.exit(main())
