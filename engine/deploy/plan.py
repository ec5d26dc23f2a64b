"""A plan: what a preview said would be done, to which an update can be held (``--save-plan``, ``--plan``).

Its entries have the shape of Pulumi's plan files (``apitype.ResourcePlanV1``), with values instead of JSON.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from engine.backend.codec import attributes, unknown_token
from engine.deploy.goals import Goal, aliases_of, deletes_first
from engine.deploy.identity import Problem
from engine.deploy.values import same
from engine.model import UNKNOWN, PropertyMap, Resource

# Options that have to be as planned, and what some are called where the name alone would not tell.
_options: Final = (
    "custom parent protect deleteBeforeReplace id customTimeouts ignoreChanges additionalSecretOutputs "
    "dependencies structuredAliases"
)
_recorded: Final = (
    "type custom parent protect dependencies provider propertyDependencies ignoreChanges additionalSecretOutputs "
    "customTimeouts"
)
_titles: Final = {"custom": "resource kind", "id": "importID", "structuredAliases": "aliases"}
_lesser: Final = {
    "create": ("same",),
    "update": ("same",),
    "replace": ("same", "update"),
    "create-replacement": ("same", "update"),
    "delete-replaced": ("same", "update"),
}


@dataclass
class Entry:
    """``goal`` None: the resource shall be deleted."""

    goal: dict[str, Any] | None = None
    ops: list[str] = field(default_factory=list)
    outputs: PropertyMap = field(default_factory=dict)


Plan = dict[str, Entry]  # by URN


class Planner:
    """Holds an operation to the plan ``allowed``, and makes one when ``making``.  Raises :class:`Problem`."""

    def __init__(self, allowed: Plan | None, making: bool) -> None:
        self._allowed = copy.deepcopy(allowed)
        self.made: Plan | None = {} if making else None

    def goal(self, goal: Goal, new: Resource, old: Resource | None, fresh: bool) -> None:
        """``new`` with checked inputs; ``fresh``: what is ``old`` does not count (it is replaced, or gone)."""
        urn, olds = new.urn, {} if old is None else old.inputs
        if self.made is not None:
            self.made.setdefault(urn, Entry()).goal = _described(goal, new, _changes({} if fresh else olds, new.inputs))
        if self._allowed is None or (urn not in self._allowed and old is None):
            return
        planned = self._allowed[urn].goal if urn in self._allowed else old and _unchanged(old)
        if not planned:
            raise Problem(f"resource {urn} violates plan: resource unexpectedly not deleted", urn)
        if why := _violation(planned, _described(goal, new, {})):
            raise Problem(f"resource {urn} violates plan: {why}", urn)
        if why := _differences(planned.get("inputDiff") or {}, olds, new.inputs):
            raise Problem(f"resource {urn} violates plan: properties changed: {why}", urn)

    def step(self, op: str, urn: str) -> None:
        if op.startswith("read"):
            return  # what is only looked up is not planned
        if self.made is not None:
            self.made.setdefault(urn, Entry()).ops.append(op)
        if self._allowed is None:
            return
        entry = self._allowed.get(urn, Entry(ops=["same"]))
        if not entry.ops:
            raise Problem(f"{op} is not allowed by the plan: no more steps were expected for this resource", urn)
        planned = entry.ops.pop(0)
        if op != planned and op not in _lesser.get(planned, ()):
            raise Problem(f"{op} is not allowed by the plan: this resource is constrained to {planned}", urn)

    def done(self, new: Resource) -> None:
        if self.made is not None and new.urn in self.made:
            self.made[new.urn].outputs = new.outputs

    def outputs(self, urn: str, olds: PropertyMap, news: PropertyMap) -> None:
        """Of a component or the stack."""
        if self.made is not None and (made := self.made[urn]).goal is not None:
            made.goal["outputDiff"], made.outputs = _changes(olds, news), news
        if self._allowed is None:
            return
        goal = self._allowed[urn].goal if urn in self._allowed else None
        if goal is None:
            raise Problem(f"no plan for resource {urn}", urn)
        if why := _differences(goal.get("outputDiff") or {}, olds, news):
            raise Problem(f"resource violates plan: properties changed: {why}", urn)

    def unmet(self, known: set[str]) -> list[str]:
        """URNs whose planned steps were not seen; a deletion of what is gone already was not needed."""
        left = {urn: entry.ops for urn, entry in (self._allowed or {}).items() if entry.ops}
        return [urn for urn, ops in left.items() if ops != ["delete"] or urn in known]


def _described(goal: Goal, new: Resource, changes: dict[str, Any]) -> dict[str, Any]:
    aliases = []
    for alias in aliases_of(goal):
        named = {name: getattr(alias.spec, name.lower()) for name in ("Name", "Type", "Stack", "Project")}
        aliases.append({"URN": alias.urn, **named, "Parent": alias.spec.parentUrn, "NoParent": alias.spec.noParent})
    diffs = {"inputDiff": changes, "outputDiff": {}, "deleteBeforeReplace": deletes_first(goal)}
    options = {name: getattr(new, attributes[name]) for name in _recorded.split()}
    return {"name": new.name, "id": new.import_id, "structuredAliases": aliases, **options, **diffs}


def _unchanged(old: Resource) -> dict[str, Any]:
    """What is allowed for a resource that the plan does not know: to stay as it is."""
    return _described(Goal(), replace(old, property_dependencies={}, ignore_changes=[], import_id=""), {})


def _violation(planned: dict[str, Any], actual: dict[str, Any]) -> str:
    reference = planned.get("provider") or ""
    if reference != actual["provider"]:
        urn, _, id = reference.rpartition("::")
        if id != unknown_token or urn != actual["provider"].rpartition("::")[0]:
            return f"provider changed (expected {reference})"
    for name in _options.split():
        want, have = planned.get(name), actual[name]
        if isinstance(have, list):
            want, have = (sorted(map(str, some or [])) for some in (want, have))
        if want != have and (want or have or name == "deleteBeforeReplace"):
            return f"{_titles.get(name, name)} changed (expected {want})"
    for key, urns in (planned.get("propertyDependencies") or {}).items():
        if key in actual["propertyDependencies"] and set(urns) != set(actual["propertyDependencies"][key]):
            return f"dependencies for {key} changed (expected {sorted(urns)})"
    return ""


_fits: Final = partial(same, unknown_is_any=True)


def _changes(olds: PropertyMap, news: PropertyMap) -> dict[str, Any]:
    adds = {key: value for key, value in news.items() if key not in olds}
    updates = {key: value for key, value in news.items() if key in olds and not same(olds[key], value)}
    deletes = [key for key in olds if key not in news]
    return {name: found for name, found in (("adds", adds), ("updates", updates), ("deletes", deletes)) if found}


def _differences(planned: dict[str, Any], olds: PropertyMap, news: PropertyMap) -> str:
    """What is not as planned.  A planned change may have been made already; a value unknown then may be any."""
    adds, updates, deletes = planned.get("adds") or {}, planned.get("updates") or {}, planned.get("deletes") or []
    found = []
    for key in sorted({*olds, *news, *adds, *updates}):
        expected = adds.get(key, updates.get(key))
        is_planned = key in adds or key in updates
        if key not in news:
            fine = expected is UNKNOWN if is_planned else key in deletes or key not in olds
        elif is_planned:
            fine = _fits(expected, news[key]) and not (key in updates and key not in olds)
        else:
            fine = key not in deletes and key in olds and _fits(olds[key], news[key])
        if not fine:
            wanted = repr(expected) if is_planned else "deleted" if key in deletes else "unchanged"
            found.append(f"{key} (planned: {wanted}, now: {repr(news[key]) if key in news else 'none'})")
    return ", ".join(found)
