"""What can go wrong between a node, its gateway and HAProxy; each time the gateway begins anew.

::

    GatewayError
    ├── NodeGone      the node does not answer, or ended the connection
    └── ProxyFailed   HAProxy does not start, ended, or did not do as it was told
"""

from __future__ import annotations


class GatewayError(Exception):
    """The gateway cannot go on with this connection to the node."""


class NodeGone(GatewayError):
    """The node does not answer, or ended the connection."""


class ProxyFailed(GatewayError):
    """HAProxy does not start, ended, or did not do as it was told."""
