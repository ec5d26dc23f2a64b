"""``python -m berth.tunnel``: one end of the TCP bridge."""

from __future__ import annotations

import os
import sys

from berth.kit import logging, serve
from berth.kit.settings import SettingsError


def main() -> int:
    """The exit status: 2 for wrong settings, 1 for a bridge that cannot start or go on."""
    # First of all: as process 1 of a container it would ignore SIGTERM while it loads the rest.
    serve.exit_on_signals()
    # The control socket is nobody else's.
    os.umask(0o077)
    from berth.tunnel.errors import TunnelError
    from berth.tunnel.service import serve_bridge
    from berth.tunnel.settings import BridgeSettings

    try:
        settings = BridgeSettings.load("TCP bridge")
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logging.configure("bridge", settings.log_level)
    try:
        serve_bridge(settings)
    except (TunnelError, OSError) as error:
        logging.get_logger("bridge").error("bridge cannot go on", reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
