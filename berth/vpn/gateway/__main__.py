"""``python -m berth.vpn.gateway``: the gateway of a node."""

from __future__ import annotations

import os
import sys

from berth.kit.serve import exit_on_signals
from berth.kit.start import start


def main() -> int:
    """The exit status: 2 for wrong settings, 1 for a gateway that cannot start."""
    # First of all: as process 1 of a container it would ignore SIGTERM while it loads the rest.
    exit_on_signals()
    os.umask(0o077)
    from berth.vpn.gateway.service import serve_gateway
    from berth.vpn.gateway.settings import GatewaySettings

    return start(
        GatewaySettings,
        "node gateway",
        "node-gateway",
        serve_gateway,
        failed="gateway cannot go on",
        component="gateway",
    )


if __name__ == "__main__":
    sys.exit(main())
