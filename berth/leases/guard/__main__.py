"""``python -m berth.leases.guard``: a filtered Docker proxy."""

from __future__ import annotations

import sys

from berth.kit.serve import exit_on_signals
from berth.kit.start import start


def main() -> int:
    """The exit status: 2 for wrong settings, 1 for a service that cannot start."""
    # First of all: as process 1 of a container it would ignore SIGTERM while it loads the rest.
    exit_on_signals()
    from berth.leases.guard.run import serve_guard
    from berth.leases.guard.settings import GuardSettings

    return start(
        GuardSettings,
        "Docker guard",
        lambda it: f"{it.guard_policy.role}-guard",
        serve_guard,
        failed="guard cannot start",
    )


if __name__ == "__main__":
    sys.exit(main())
