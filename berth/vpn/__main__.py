"""``python -m berth.vpn``: the WireGuard node."""

from __future__ import annotations

import os
import sys

from berth.kit import logging, serve
from berth.kit.settings import SettingsError
from berth.vpn.errors import VpnError
from berth.vpn.node import serve_node
from berth.vpn.settings import NodeSettings


def main() -> int:
    """The exit status: 2 for wrong settings, 1 for a node that cannot start."""
    serve.exit_on_signals()
    # Files that others write here (wireguard-go's socket) are nobody else's.
    os.umask(0o077)
    try:
        settings = NodeSettings.load("WireGuard node")
    except SettingsError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    logging.configure(f"node/{settings.node_id}", settings.log_level, settings.levels)
    try:
        serve_node(settings)
    except (VpnError, OSError) as error:
        logging.get_logger("node").error("node cannot start", reason=str(error))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
