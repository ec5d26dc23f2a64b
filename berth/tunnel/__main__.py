"""``python -m berth.tunnel``: one end of the TCP bridge."""

from __future__ import annotations

import os
import sys

from berth.kit.serve import exit_on_signals
from berth.kit.start import start


def main() -> int:
    """The exit status: 2 for wrong settings, 1 for a bridge that cannot start or go on."""
    # First of all: as process 1 of a container it would ignore SIGTERM while it loads the rest.
    exit_on_signals()
    # The control socket is nobody else's.
    os.umask(0o077)
    from berth.tunnel.errors import TunnelError
    from berth.tunnel.service import serve_bridge
    from berth.tunnel.settings import BridgeSettings

    return start(
        BridgeSettings,
        "TCP bridge",
        "bridge",
        serve_bridge,
        failed="bridge cannot go on",
        component="bridge",
        expected=(TunnelError, OSError),
    )


if __name__ == "__main__":
    sys.exit(main())
