"""The matrix: which programs run with which options, one after the other, each scenario on a stack of its own."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Run:
    """One command.  ``world`` changes things behind the engine's back first (None takes one away).

    ``before`` are commands to run first, ``says`` words that both engines' output must have, ``stack`` is another
    stack of the same project.
    """

    command: str
    version: int = 1
    world: dict[str, Any] = field(default_factory=dict)
    before: tuple[str, ...] = ()
    says: tuple[str, ...] = ()
    stack: str = "dev"


def thing(name: str, type: str = "pulumi-python:dynamic/test:Thing", stack: str = "dev") -> str:
    return f"urn:pulumi:{stack}::matrix::{type}::{name}"


up, destroy, refresh = "up --yes --skip-preview", "destroy --yes --skip-preview", "refresh --yes --skip-preview"
volume = "berth-test-matrix"
on_docker = ("docker", "imports", "providers")
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
    "targets": [
        Run(up),
        Run(f"preview --target {thing('b')}", 2),
        Run(f"{up} --target {thing('b')}", 2),
        Run(f"preview --target {thing('user')}", 2, says=("was not specified in --target list",)),
        Run(f"{up} --target {thing('user')}", 2, says=("was not specified in --target list",)),
        Run(f"{up} --target {thing('new')} --target '**::inside'", 2),
        Run(f"{up} --target {thing('a')} --target-dependents", 2),
        Run(f"{up} --target {thing('nothing')}", 2, says=("could not be found in the stack",)),
        Run(f"{up} --target {thing('gone')}", 2),
        Run(f"{refresh} --target {thing('c')}", 2, world={"c-1": {"label": "c", "size": 8}, "a-1": None}),
        Run(f"preview --refresh --target {thing('c')}", 2),
        Run(f"{destroy} --target {thing('a')}", 2, says=("--target",)),
        Run(f"{destroy} --target {thing('a')} --target-dependents", 2),
        Run("destroy --yes", 2),
    ],
    "forced": [
        Run(up),
        Run(f"preview --replace {thing('a')}"),
        Run(f"{up} --replace {thing('a')}"),
        Run(f"{up} --target-replace {thing('b')}", 2),
        Run(f"{up} --replace '**Thing::*'", 2),
        Run(f"{up} --replace {thing('nothing')}", says=("could not be found in the stack",)),
    ],
    "plan": [
        Run("preview --save-plan plan.json"),
        Run(f"{up} --plan plan.json"),
        Run("preview --save-plan plan.json", 2),
        Run(f"{up} --plan plan.json", 3, says=("violates plan", "properties changed")),
        Run(f"{up} --plan plan.json", 4, says=("is not allowed by the plan",)),
        Run("up --yes --plan plan.json", 2),
        Run(f"{up} --plan plan.json", 2),
        Run("preview --save-plan plan.json", 5),
        Run(f"{up} --plan plan.json", 6, says=("violates plan", "protect changed")),
        Run(f"{up} --plan plan.json", 5),
    ],
    "changes": [
        Run(up),
        Run("preview", 2),
        Run(up, 2),
        Run(up, 2),
        Run(up, 3),
        Run("destroy --preview-only", 3),
        Run(destroy, 3),
    ],
    "again": [
        Run(up),
        Run(up, 2, says=("no way",)),
        Run("preview", 3),
        Run(up, 3),
        Run(up, 4, world={"stuck": {}}, says=("it is stuck",)),
        Run(up, 4, world={"stuck": None}),
        Run(up, 5, says=("Duplicate resource URN",)),
        Run(destroy, 4),
    ],
    "drift": [
        Run(up),
        Run("refresh --preview-only", world={"b-1": {"label": "b", "size": 7}}),
        Run(refresh, world={"c-1": {"label": "c", "size": 8}}),
        Run("preview"),
        Run("preview", 7),
        Run(up),
        Run("preview --refresh", world={"a-1": {"label": "a", "size": 5}}),
        Run("up --yes --skip-preview --refresh"),
        Run("destroy --yes --refresh", world={"b-1": None}),
    ],
    "expect": [
        Run(f"{up} --expect-no-changes", says=("no changes were expected",)),
        Run(f"{up} --expect-no-changes"),
        Run("preview --expect-no-changes"),
        Run("preview --expect-no-changes", 2, says=("no changes were expected",)),
        Run(f"{refresh} --expect-no-changes"),
        Run(f"{refresh} --expect-no-changes", world={"a-1": None}, says=("no changes were expected",)),
    ],
    "transforms": [Run(up), Run("preview", 2), Run(up, 2), Run(destroy, 2)],
    "hooks": [
        Run("preview"),
        Run(up),
        Run(up, 2),
        Run(up, 3, says=("not today",)),
        Run(up, 4, says=("too late",)),
        Run(up, 5),
        Run(destroy, 5, says=("hook",)),
    ],
    "reference": [
        Run(up, stack="base"),
        Run(up),
        Run(up, 2, stack="base"),
        Run("preview", 2),
        Run(up, 2),
        Run(refresh, 2),
        Run(up, 3, says=("nothing",)),
        Run(destroy, 2),
    ],
    "docker": [
        Run(up, before=(f"docker volume create {volume}-imported", f"docker volume create {volume}-read")),
        Run(up),
        Run("preview", 2),
        Run(up, 2),
        Run(refresh, 2, before=(f"docker volume rm {volume}-own",)),
        Run("up --yes", 2),
        Run(destroy, 2),
        Run(up, 3, before=(f"docker volume rm {volume}-read",), says=("does not exist",)),
    ],
    "imports": [
        Run(up, before=tuple(f"docker volume create {volume}-{name}" for name in ("one", "two", "three", "left"))),
        Run("preview", 2),
        Run(up, 2),
        Run("preview", 3),
        Run(up, 3),
        Run(up, 4, says=("does not exist",)),
        Run("preview", 6),
        Run(up, 6),
        Run(f"preview --target {thing('other')}", 7),
        Run(f"{up} --target {thing('other')}", 7),
        Run(up, 5),
        Run(destroy, 5),
    ],
    "providers": [
        Run(up),
        Run("preview", 2),
        Run(up, 2),
        Run("preview", 3),
        Run(up, 3),
        Run("preview", 4),
        Run(up, 4),
        Run(destroy, 4),
    ],
}
