"""What a program asks for: a registration as it stands on the wire, and the resource that it describes."""

from __future__ import annotations

import os
import re
from typing import Any, Final
from urllib.parse import unquote, urlparse

from pulumi.runtime.proto import alias_pb2, resource_pb2

from engine.deploy.values import from_struct
from engine.model import Resource, type_stack

Goal = resource_pb2.RegisterResourceRequest
_units: Final = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


class Unsupported(Exception):
    """The program uses something that this engine does not implement; the message names it."""


def make_urn(stack: str, project: str, parent: str, type: str, name: str) -> str:
    """Parents' types stand before the type, separated by ``$``; the stack's is left out."""
    parent_type = parent.split("::")[2] if parent else ""
    prefix = "" if parent_type in ("", type_stack) else f"{parent_type}$"
    return f"urn:pulumi:{stack}::{project}::{prefix}{type}::{name}"


def seconds(duration: str) -> float:
    """``1h2m3.5s`` in seconds, as Go writes durations."""
    parts = re.findall(r"(\d+\.?\d*|\.\d+)(h|ms|m|s|us|µs|ns)", duration)
    if not parts or "".join(number + unit for number, unit in parts) != duration:
        raise ValueError(f"'{duration}' is no duration: write, for example, 5m or 1h30m")
    total = sum(float(number) * _units[unit] for number, unit in parts)
    return int(total) if total == int(total) else total


def aliases_of(goal: Goal) -> list[alias_pb2.Alias]:
    """Earlier identities: a whole URN each, or a ``spec`` of the parts that were different ("" = as now)."""
    return [*(alias_pb2.Alias(urn=urn) for urn in goal.aliasURNs), *goal.aliases]


def deletes_first(goal: Goal) -> bool | None:
    """``deleteBeforeReplace``, None when the program says nothing about it."""
    return goal.deleteBeforeReplace if goal.deleteBeforeReplaceDefined or goal.deleteBeforeReplace else None


def refuse(goal: Goal) -> None:
    """Name what is asked for and not implemented, rather than leave it out in silence.  Raises Unsupported."""
    asked = {
        "remote components": goal.remote,
        "error hooks": len(goal.hooks.on_error),
        "replaceWith": len(goal.replace_with),
        "replacementTrigger": goal.HasField("replacement_trigger"),
        "hideDiffs": len(goal.hideDiffs),
        "envVarMappings": len(goal.envVarMappings),
        "parameterized packages": goal.packageRef,
        "state migrations": len(goal.state_migrations),
        "pluginDownloadURL": goal.pluginDownloadURL,
    }
    if names := [name for name, value in asked.items() if value]:
        raise Unsupported(
            f"{goal.type} '{goal.name}' uses {', '.join(names)}, which the embedded engine does not implement. "
            "Run this program with the Pulumi CLI."
        )


def goal_of_read(request: resource_pb2.ReadResourceRequest) -> Goal:
    """What looking up a resource asks for.  Raises Unsupported."""
    if request.packageRef:
        raise Unsupported("parameterized packages are not implemented by the embedded engine")
    goal = Goal(custom=True, object=request.properties)
    for field, value in request.ListFields():
        if field.name in ("type", "name", "parent", "provider", "version"):
            setattr(goal, field.name, value)
        elif field.name in ("dependencies", "additionalSecretOutputs", "sourcePosition"):
            getattr(goal, field.name).MergeFrom(value)
    return goal


def resource_of(goal: Goal, urn: str, root: str, old: Resource | None) -> Resource:
    """The resource that is asked for, unchecked.  Raises UnsupportedValue or ValueError."""
    found: dict[str, set[str]] = {}
    inputs = from_struct(goal.object, found)
    dependencies = sorted(goal.dependencies)
    by_property = {key: set(some.urns) for key, some in goal.propertyDependencies.items()}
    if not by_property:
        by_property = {key: set(dependencies) for key in inputs}
    for key, urns in found.items():
        by_property.setdefault(key, set()).update(urns)
    hooks = {moment.name.title().replace("_", ""): list(names) for moment, names in goal.hooks.ListFields()}
    new = Resource(urn, goal.type, goal.custom, parent=goal.parent, inputs=inputs, provider=goal.provider)
    if new.is_provider and goal.version:
        new.inputs |= {"__internal": {}, "version": goal.version}
    new.dependencies = dependencies
    new.property_dependencies = {key: sorted(urns) for key, urns in by_property.items()}
    new.protect, new.retain_on_delete, new.deleted_with = goal.protect, goal.retainOnDelete, goal.deletedWith
    new.additional_secret_outputs, new.import_id = list(goal.additionalSecretOutputs), goal.importId
    new.ignore_changes, new.replace_on_changes = list(goal.ignoreChanges), list(goal.replaceOnChanges)
    timeouts = {call.name: text for call, text in goal.customTimeouts.ListFields() if call.name != "read"}
    new.custom_timeouts = {call: seconds(text) for call, text in timeouts.items()}
    new.source_position = _position(goal, root)
    new.extra = {"resourceHooks": hooks} if hooks else {}
    if old is not None:
        new.created, new.modified = old.created, old.modified
    return new


def _position(goal: Any, root: str) -> str:
    """``project:///components/base.py#12`` of a source position, "" when there is none."""
    at = goal.sourcePosition
    if not at.uri.startswith("file:"):
        return ""
    path = os.path.relpath(unquote(urlparse(at.uri).path), root)
    column = f",{at.column}" if at.column else ""
    return f"project:///{path}#{at.line}{column}"
