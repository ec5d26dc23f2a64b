"""Settings of a node's gateway, from its environment."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from berth.kit.settings import ServiceSettings


class GatewaySettings(ServiceSettings):
    """``node_socket``: where the node's agent listens; ``proxy_config``: HAProxy's, as the stack wrote it.

    ``close_socket``: where the manager of leases says which lease's connections end; nowhere unless given.
    ``run_dir`` holds the map of owners and HAProxy's runtime socket; the configuration names both.  ``port``: health
    and metrics, on loopback alone.
    """

    node_socket: Path = Path("/run/gateway/node.sock")
    proxy_config: Path = Path("/run/berth/haproxy.cfg")
    run_dir: Path = Path("/run/haproxy")
    close_socket: Path | None = None
    port: Annotated[int, Field(ge=1, le=65535)] = 8080
