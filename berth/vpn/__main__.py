"""``python -m berth.vpn``: the WireGuard node."""

from __future__ import annotations

import os
import sys

from berth.kit.serve import exit_on_signals
from berth.kit.start import start
from berth.vpn.errors import VpnError
from berth.vpn.node import serve_node
from berth.vpn.settings import NodeSettings


def main() -> int:
    """The exit status: 2 for wrong settings, 1 for a node that cannot start."""
    exit_on_signals()
    # Files that others write here (wireguard-go's socket) are nobody else's.
    os.umask(0o077)

    return start(
        NodeSettings,
        "WireGuard node",
        lambda it: f"node/{it.node_id}",
        serve_node,
        failed="node cannot start",
        component="node",
        expected=(VpnError, OSError),
    )


if __name__ == "__main__":
    sys.exit(main())
