"""The matrix: which programs run with which options, one after the other, each scenario on a stack of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Run:
    """One command.  ``world`` changes things behind the engine's back first (None takes one away).

    ``says`` are words that both engines' output must have, ``stack`` is another stack of the same project.
    """

    command: str
    version: int = 1
    world: dict[str, Any] = field(default_factory=dict)
    says: tuple[str, ...] = ()
    stack: str = "dev"


def thing(name: str, type: str = "pulumi-python:dynamic/test:Thing", stack: str = "dev") -> str:
    return f"urn:pulumi:{stack}::matrix::{type}::{name}"


up, destroy, refresh = "up --yes --skip-preview", "destroy --yes --skip-preview", "refresh --yes --skip-preview"
drifted = {"a-1": {"label": "a", "size": 7}, "b-1": None}

scenarios: dict[str, list[Run]] = {
    "steps": [
        Run("preview"),
        Run(up),
        Run(up),
        Run("preview", 2),
        Run(up, 2),
        Run("destroy --yes", 2),
    ],
    "replace": [
        Run(up),
        Run("preview", 2),
        Run(up, 2),
        Run("preview", 3),
        Run(up, 3),
        Run(destroy, 3),
    ],
    "options": [
        Run(up),
        Run("preview", 2),
        Run(up, 2),
        Run(up, 3),
        Run(destroy, 3),
    ],
    "protect": [
        Run(up),
        Run("preview", 2, says=("protect",)),
        Run(up, 2, says=("protect",)),
        Run("preview", 3, says=("protect",)),
        Run(up, 3, says=("protect",)),
        Run(destroy, says=("protect",)),
        Run(up, 4),
        Run(destroy, 4),
    ],
    "aliases": [Run(up), Run("preview", 2), Run(up, 2), Run(up, 3), Run(destroy, 3)],
    "read": [
        Run(up, world={"there-1": {"label": "there", "size": 3}}),
        Run(up),
        Run(up, 2),
        Run(up, 3),
        Run(destroy, 3),
    ],
    "refresh": [
        Run(up),
        Run(refresh, world=drifted),
        Run("preview --refresh", world={"c-1": None}),
        Run("up --yes --skip-preview --refresh"),
        Run("refresh --yes", world={"c-2": None}),
        Run("destroy --yes --refresh"),
    ],
    "failures": [
        Run(up, says=("no way",)),
        Run(up, 2),
        Run(up, 3, says=("no way",)),
        Run(up, 4, world={"stuck": {}}, says=("it is stuck",)),
        Run(up, 4, world={"stuck": None}),
        Run(up, 5, says=("unhandled exception",)),
        Run(destroy, 4, world={"stuck": {}}, says=("it is stuck",)),
        Run(destroy, 4, world={"stuck": None}),
    ],
}
