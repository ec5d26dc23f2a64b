"""Who a WireGuard node is: the public half of the key that it made for itself.

A resource of its own, so that a change of the peers leaves the key known in every preview.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.node_control import Later, call, patiently

_inputs: Final = ("node", "container", "controlUrl", "token")


class NodeIdentityProvider(ResourceProvider):
    """Asks the node's control API."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"node-{props['node']}", _ask(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_ask(news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        inputs = {key: props.get(key) for key in _inputs}
        try:
            return ReadResult(id_, {**props, "publicKey": call(props, "GET", "/control/state")["publicKey"]}, inputs)
        except Later:
            return ReadResult(id_, props, inputs)  # a node that is down keeps its key on its volume

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Nothing: the key stays on the node's volume."""


def _ask(props: Mapping[str, Any]) -> dict[str, Any]:
    state = patiently(lambda: call(props, "GET", "/control/state"))
    return {**{key: props[key] for key in _inputs}, "publicKey": state["publicKey"]}


class NodeIdentity(Resource, module="berth", name="NodeIdentity"):
    """``publicKey``: 44 base64 characters."""

    publicKey: pulumi.Output[str]  # noqa: N815  (as it is spelled in state)

    def __init__(
        self,
        name: str,
        *,
        node: str,
        container: pulumi.Input[str],
        control_url: pulumi.Input[str],
        token: pulumi.Input[str],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """``container``: its id, so that a new one is asked again."""
        properties = {
            "node": node,
            "container": container,
            "controlUrl": control_url,
            "token": pulumi.Output.secret(token),
            "publicKey": None,
        }
        hidden = pulumi.ResourceOptions(additional_secret_outputs=["token"])
        super().__init__(NodeIdentityProvider(), name, properties, pulumi.ResourceOptions.merge(opts, hidden))
