"""A node's control API, as the dynamic providers call it."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import urllib3

patience: Final = 30.0  # seconds for a node that is just starting, or whose chain is
T = TypeVar("T")


class NodeError(Exception):
    """A node does not do what the stack asks of it; the message says why and what to do."""


class Later(NodeError):
    """Asking again may help."""


def patiently(ask: Callable[[], T]) -> T:
    """What ``ask`` returns once it no longer says :class:`Later`; that error after :data:`patience`."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return ask()
        except Later:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)


def call(props: Mapping[str, Any], method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One call; NodeError with the node's own words when it refuses, :class:`Later` where waiting may help."""
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
        raise Later(
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
    raise (Later if response.status == 503 else NodeError)(message)
