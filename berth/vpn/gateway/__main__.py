"""``python -m berth.vpn.gateway``: the gateway of a node."""

from __future__ import annotations

import os
import sys

from berth.kit import logging, serve
from berth.kit.settings import SettingsError


def main() -> int:
    """The exit status: 2 for wrong settings, 1 for a gateway that cannot start."""
    # First of all: as process 1 of a container it would ignore SIGTERM while it loads the rest.
    serve.exit_on_signals()
    os.umask(0o077)
    from berth.vpn.gateway.service import serve_gateway
    from berth.vpn.gateway.settings import GatewaySettings

    try:
        settings = GatewaySettings.load("node gateway")
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logging.configure("node-gateway", settings.log_level)
    try:
        serve_gateway(settings)
    except OSError as error:
        logging.get_logger("gateway").error("gateway cannot go on", reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
