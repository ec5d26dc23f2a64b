"""The peers of one WireGuard node: asks the node to reach the declared access list.

Thin on purpose: the node reads the chain itself and refuses a digest that it cannot reproduce, so state holds
a digest and never a peer, however many nodes there are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import pulumi
from pulumi.dynamic import CreateResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.node_control import Later, call, patiently

_inputs: Final = ("node", "container", "controlUrl", "digest", "block", "token")
_no_drift: Final[dict[str, Any]] = {"missing": {}, "extra": {}}
_unanswered: Final = "no answer"


class NodePeersProvider(ResourceProvider):
    """Calls the node's control API."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"peers-{props['node']}", _reach(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_reach(news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """What the node has now: its own digest stands where the declared one was.

        So the next update repairs a node that was changed by hand, and finds one that followed the chain by itself
        where the program wants it to be.
        """
        try:
            state = call(props, "GET", "/control/state")
        except Later:
            # A node that is down or gone is for the update to repair; a refresh has to get past it.
            found = {**props, "digest": _unanswered, "drift": _no_drift}
        else:
            found = {**props, **_found(props, state)}
        return ReadResult(id_, found, {key: found.get(key) for key in _inputs})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Nothing: the peers go with their node's container, and its volume keeps what it applied last."""


def _reach(props: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs once the node has the list; NodeError when it refuses, or cannot in good time."""
    wanted = {"digest": props["digest"], "block": _block(props["block"])}
    state = patiently(lambda: call(props, "PUT", "/control/list", wanted))
    return {**{key: props[key] for key in _inputs}, **_outputs(state), "newer": bool(state.get("newer"))}


def _found(props: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    applied, outputs = state["applied"], _outputs(state)
    digest = state["actual"]["digest"]
    if applied and outputs["drift"] == _no_drift:
        # A node that takes access away sooner than it gives it has a list that no block alone has.
        ahead = "removalBlock" in applied and applied["block"]["number"] >= _block(props["block"])["number"]
        digest = props["digest"] if ahead else applied["digest"]
    if digest == props["digest"] and props.get("appliedBlock"):
        # A node that follows reads the same list again and again: that is no news.
        outputs["appliedBlock"] = props["appliedBlock"]
    return {"digest": digest, **outputs}


def _block(block: Mapping[str, Any]) -> dict[str, Any]:
    # Every number is a float on its way through the engine.
    return {"number": int(block["number"]), "hash": block["hash"]}


def _outputs(state: Mapping[str, Any]) -> dict[str, Any]:
    applied = state["applied"] or {}
    return {
        "peers": state["actual"]["peers"],
        "appliedBlock": applied.get("block"),
        "drift": state["drift"],
    }


class NodePeers(Resource, module="berth", name="NodePeers"):
    """``peers`` (count), ``appliedBlock``, and ``drift`` as a refresh found it.

    ``newer`` is true where the node already had the list of a later block, which is success: nodes that follow
    the chain do.
    """

    digest: pulumi.Output[str]
    peers: pulumi.Output[int]
    newer: pulumi.Output[bool]
    drift: pulumi.Output[dict[str, Any]]

    def __init__(
        self,
        name: str,
        *,
        node: str,
        container: pulumi.Input[str],
        control_url: pulumi.Input[str],
        token: pulumi.Input[str],
        digest: pulumi.Input[str],
        block: pulumi.Input[Mapping[str, Any]],
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        """``container``: its id, so that a new one is asked again; ``digest`` and ``block`` of the AccessList."""
        hidden = pulumi.ResourceOptions(additional_secret_outputs=["token"])
        properties = {
            "node": node,
            "container": container,
            "controlUrl": control_url,
            "digest": digest,
            "block": block,
            "token": pulumi.Output.secret(token),
            "peers": None,
            "appliedBlock": None,
            "drift": None,
            "newer": None,
        }
        super().__init__(NodePeersProvider(), name, properties, pulumi.ResourceOptions.merge(opts, hidden))
