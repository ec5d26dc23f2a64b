"""Named points at which a test may kill the process, as a power cut would; nothing happens without one being asked for.

``BERTH_CRASH_AT`` names the point.  The kill is SIGKILL to this very process: no handler, no ``finally``.
"""

from __future__ import annotations

import os
import signal
from typing import Final

points: Final = (
    "provision.inserted",
    "provision.creating",
    "provision.network",
    "provision.created",
    "provision.told",
    "provision.started",
    "provision.ready",
    "claim.inserted",
    "claim.renamed",
    "claim.running",
    "pool.created",
    "pool.started",
    "removal.expiring",
    "removal.deleting",
    "removal.removed",
    "removal.network",
    "removal.gone",
)
"""Every step between a request and a running container, and back."""

_wanted: Final = os.environ.get("BERTH_CRASH_AT", "")


def point(name: str) -> None:
    """Dies here if it was asked for."""
    if _wanted and name == _wanted:
        os.kill(os.getpid(), signal.SIGKILL)
