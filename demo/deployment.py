"""What the stack's outputs tell: the chain, its contracts, the nodes, and the pages."""

from __future__ import annotations

import json
import urllib.request
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from berth.chain.access_pass import AccessPass
from berth.chain.endpoint import Endpoint
from berth.chain.key_registry import KeyRegistry
from demo.stack import StackError


@dataclass(frozen=True)
class Deployment:
    """The outputs, by name as ``__main__.py`` exports them."""

    outputs: dict[str, Any]

    @cached_property
    def endpoint(self) -> Endpoint:
        return Endpoint(self.outputs["rpcUrl"], int(self.outputs["chainId"]))

    @property
    def passes(self) -> AccessPass:
        return AccessPass(self.endpoint, self.outputs["accessPass"])

    @property
    def registry(self) -> KeyRegistry:
        return KeyRegistry(self.endpoint, self.outputs["keyRegistry"])

    @property
    def nodes(self) -> dict[str, dict[str, Any]]:
        """Each node's outputs, by name."""
        nodes: dict[str, dict[str, Any]] = self.outputs["nodes"]
        return nodes

    def bridges(self, node: str) -> dict[str, dict[str, Any]]:
        """The outputs of the TCP bridges before a node, by name; a stack need not have any."""
        return {name: one for name, one in self.outputs.get("bridges", {}).items() if one["node"] == node}

    @property
    def node(self) -> dict[str, Any]:
        """The first node."""
        return next(iter(self.nodes.values()))

    @property
    def url(self) -> str:
        """The gateway's, as people open it."""
        return str(self.outputs["url"])

    @property
    def members_page(self) -> str:
        return str(self.outputs["membersUrl"])

    @property
    def follows(self) -> bool:
        """Whether nodes act between ups."""
        return bool(self.outputs["accessMode"] == "follow")

    def peers(self, node: str) -> set[str]:
        """The public keys of a node's peers, as the node says."""
        url = f"{self.nodes[node]['controlUrl']}/stats"
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                return {peer["key"] for peer in json.load(answer)["peerList"]}
        except OSError as error:
            raise StackError(
                f"{node} does not answer at {url} ({error}): see `make logs NAME={node}`; if its container is gone, "
                "`make refresh` and `make up` bring it back"
            ) from error
