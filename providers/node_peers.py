"""The peers of one WireGuard node: asks the node to reach the declared access list.

Thin on purpose: the node reads the chain itself and refuses a digest that it cannot reproduce, so state holds
a digest and never a peer, however many nodes there are.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from typing import Any, Final

import pulumi
import urllib3
from pulumi.dynamic import CreateResult, ReadResult, Resource, ResourceProvider, UpdateResult

_inputs: Final = ("node", "container", "controlUrl", "digest", "block", "token")
_no_drift: Final[dict[str, Any]] = {"missing": {}, "extra": {}}
patience: Final = 30.0  # seconds for a node that is just starting, or whose chain is
_unanswered: Final = "no answer"


class NodeError(Exception):
    """A node does not do what the stack asks of it; the message says why and what to do."""


class _Later(NodeError):
    """Asking again may help."""


class NodePeersProvider(ResourceProvider):
    """Calls the node's control API."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(f"peers-{props['node']}", _reach(props))

    def update(self, _id: str, _olds: dict[str, Any], news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(_reach(news))

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        """What the node has now: its own digest stands where the declared one was, so the next update repairs it."""
        try:
            state = _call(props, "GET", "/control/state")
        except _Later:
            # A node that is down or gone is for the update to repair; a refresh has to get past it.
            found = {**props, "digest": _unanswered, "drift": _no_drift}
        else:
            found = {**props, "digest": state["actual"]["digest"], **_outputs(state)}
        return ReadResult(id_, found, {key: found.get(key) for key in _inputs})

    def delete(self, _id: str, _props: dict[str, Any]) -> None:
        """Nothing: the peers go with their node's container, and its volume keeps what it applied last."""


def _reach(props: Mapping[str, Any]) -> dict[str, Any]:
    """The outputs once the node has the list; NodeError when it refuses, or cannot within :data:`patience`."""
    deadline = time.monotonic() + patience
    wanted = {"digest": props["digest"], "block": _block(props["block"])}
    while True:
        try:
            state = _call(props, "PUT", "/control/list", wanted)
        except _Later:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
        else:
            return {**{key: props[key] for key in _inputs}, **_outputs(state), "newer": bool(state.get("newer"))}


def _block(block: Mapping[str, Any]) -> dict[str, Any]:
    # Every number is a float on its way through the engine.
    return {"number": int(block["number"]), "hash": block["hash"]}


def _outputs(state: Mapping[str, Any]) -> dict[str, Any]:
    applied = state["applied"] or {}
    return {
        "publicKey": state["publicKey"],
        "peers": state["actual"]["peers"],
        "appliedBlock": applied.get("block"),
        "drift": state["drift"],
    }


def _call(props: Mapping[str, Any], method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One call; NodeError with the node's own words when it refuses, :class:`_Later` where waiting may help."""
    node, url = props["node"], f"{props['controlUrl']}{path}"
    try:
        response = urllib3.request(
            method,
            url,
            body=json.dumps(body) if body else None,
            headers={"Authorization": f"Bearer {props['token']}", "Content-Type": "application/json"},
            # Applying 10,000 peers takes seconds, reading them from a slow chain some more.
            timeout=urllib3.Timeout(connect=3, read=60),
            retries=False,
            redirect=False,
        )
    except urllib3.exceptions.HTTPError as error:
        raise _Later(
            f"node {node} does not answer at {url} ({type(error).__name__}): is its container running? "
            f"`docker logs` of it says why not"
        ) from None
    try:
        answer = json.loads(response.data)
    except ValueError:
        answer = None
    if not isinstance(answer, dict):
        raise NodeError(f"what answers at {url} is not node {node}: is the control port used by something else?")
    if response.status == 200:
        return answer
    message = f"node {node} refused ({response.status}): {answer.get('detail', 'it does not say why')}"
    raise (_Later if response.status == 503 else NodeError)(message)


class NodePeers(Resource, module="berth", name="NodePeers"):
    """``publicKey`` of the node, ``peers`` (count), ``appliedBlock``, and ``drift`` as a refresh found it.

    ``newer`` is true where the node already had the list of a later block, which is success.
    """

    digest: pulumi.Output[str]
    publicKey: pulumi.Output[str]  # noqa: N815  (as it is spelled in state)
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
            "publicKey": None,
            "peers": None,
            "appliedBlock": None,
            "drift": None,
            "newer": None,
        }
        super().__init__(NodePeersProvider(), name, properties, pulumi.ResourceOptions.merge(opts, hidden))
