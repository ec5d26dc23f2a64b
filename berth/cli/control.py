"""A node's control API, as the command calls it."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from berth.cli import stack
from berth.cli.terminal import CommandError, misused, no_answer

_timeout: Final = httpx.Timeout(10.0, connect=3.0)
token_variable: Final = "BERTH_CONTROL_TOKEN"


@dataclass(frozen=True)
class Node:
    """Where a node's control API is; ``token`` is never shown."""

    name: str
    url: str
    token: str = field(repr=False)

    def ask(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """One call; CommandError with the node's own words where it refuses."""
        url = f"{self.url}{path}"
        headers = {"Authorization": f"Bearer {self.token}"}
        try:
            response = httpx.request(method, url, json=body, headers=headers, timeout=_timeout)
        except httpx.HTTPError as error:
            raise CommandError(
                f"node {self.name} does not answer at {self.url} ({type(error).__name__}): is it running?", no_answer
            ) from None
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise CommandError(f"what answers at {self.url} is not node {self.name} (HTTP {response.status_code})")
        if not response.is_success:
            told = answer.get("detail", "it does not say why")
            raise CommandError(f"node {self.name} refused ({response.status_code}): {told}")
        return answer


def nodes(name: str, urls: Sequence[str], wanted: Sequence[str]) -> list[Node]:
    """The nodes of stack ``name``, or those given as ``id=URL`` (token from the environment); of these ``wanted``."""
    found = _given(urls) if urls else _deployed(name)
    unknown = [one for one in wanted if one not in {node.name for node in found}]
    if unknown:
        known = ", ".join(node.name for node in found) or "none"
        raise CommandError(f"there is no node {unknown[0]}; there are: {known}", misused)
    return [node for node in found if not wanted or node.name in wanted]


def each(of: Sequence[Node], path: str) -> list[dict[str, Any] | CommandError]:
    """What every node answers to a GET, all at once; its error where it does not."""

    def one(node: Node) -> dict[str, Any] | CommandError:
        try:
            return node.ask("GET", path)
        except CommandError as error:
            return error

    with ThreadPoolExecutor(max(1, len(of))) as pool:
        return list(pool.map(one, of))


def _deployed(name: str) -> list[Node]:
    told = stack.output(stack.outputs(name), "nodes", name)
    return [Node(node, one["controlUrl"], one["controlToken"]) for node, one in told.items()]


def _given(urls: Sequence[str]) -> list[Node]:
    token = os.environ.get(token_variable, "")
    if not token and (file := os.environ.get(f"{token_variable}_FILE", "")):
        try:
            token = Path(file).read_text().strip()
        except OSError as error:
            told = f"{token_variable}_FILE is {file}, which cannot be read: {error.strerror}"
            raise CommandError(told, misused) from None
    if not token:
        told = f"with --node-url the token comes from {token_variable}_FILE (or {token_variable})"
        raise CommandError(told, misused)
    found = []
    for text in urls:
        node, equals, url = text.partition("=")
        if not equals or urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise CommandError(f"--node-url takes id=URL, not {text!r}", misused)
        found.append(Node(node, url.rstrip("/"), token))
    return found
