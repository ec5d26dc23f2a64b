"""What a program asks for: a registration, freed of the wire."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import unquote, urlparse

from pulumi.runtime.proto import resource_pb2

from engine.deploy.values import from_struct
from engine.model import PropertyMap, type_stack

_units: Final = {"h": 3600, "m": 60, "s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6, "ns": 1e-9}


class Unsupported(Exception):
    """The program uses something that this engine does not implement; the message names it."""


@dataclass(frozen=True)
class Alias:
    """An earlier identity: a whole URN, or the parts that were different ("" = as now)."""

    urn: str = ""
    name: str = ""
    type: str = ""
    stack: str = ""
    project: str = ""
    parent: str = ""
    no_parent: bool = False


@dataclass
class Goal:
    """What one resource shall be.  None in an option means that the program said nothing about it."""

    type: str
    name: str
    custom: bool
    properties: PropertyMap
    parent: str = ""
    provider: str = ""
    version: str = ""
    providers: dict[str, str] = field(default_factory=dict)
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    protect: bool | None = None
    retain_on_delete: bool | None = None
    delete_before_replace: bool | None = None
    ignore_changes: list[str] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    additional_secret_outputs: list[str] = field(default_factory=list)
    aliases: list[Alias] = field(default_factory=list)
    import_id: str = ""
    custom_timeouts: dict[str, float] = field(default_factory=dict)
    deleted_with: str = ""
    source_position: str = ""
    hooks: dict[str, list[str]] = field(default_factory=dict)  # names by moment: BeforeCreate, AfterCreate, ...


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


def position(request: Any, root: str) -> str:
    """``project:///components/base.py#12`` of a source position, "" when there is none."""
    if not request.HasField("sourcePosition") or not request.sourcePosition.uri.startswith("file:"):
        return ""
    at = request.sourcePosition
    path = os.path.relpath(unquote(urlparse(at.uri).path), root)
    column = f",{at.column}" if at.column else ""
    return f"project:///{path}#{at.line}{column}"


def _refuse(request: Any) -> None:
    """Name what is asked for and not implemented, rather than leave it out in silence."""
    asked = {
        "remote components": request.remote,
        "error hooks": len(request.hooks.on_error),
        "replaceWith": len(request.replace_with),
        "replacementTrigger": request.HasField("replacement_trigger"),
        "hideDiffs": len(request.hideDiffs),
        "envVarMappings": len(request.envVarMappings),
        "parameterized packages": request.packageRef,
        "state migrations": len(request.state_migrations),
        "pluginDownloadURL": request.pluginDownloadURL,
    }
    names = [name for name, value in asked.items() if value]
    if names:
        raise Unsupported(
            f"{request.type} '{request.name}' uses {', '.join(names)}, which the embedded engine does not implement. "
            "Run this program with the Pulumi CLI."
        )


def goal_of(request: resource_pb2.RegisterResourceRequest, root: str) -> Goal:
    """The goal of a request.  Raises Unsupported, UnsupportedValue or ValueError."""
    _refuse(request)
    found: dict[str, set[str]] = {}
    properties = from_struct(request.object, found)
    dependencies = sorted(request.dependencies)
    if request.propertyDependencies:
        by_property = {key: set(some.urns) for key, some in request.propertyDependencies.items()}
    else:
        by_property = {key: set(dependencies) for key in properties}
    for key, urns in found.items():
        by_property.setdefault(key, set()).update(urns)
    hooks = {moment.name.title().replace("_", ""): list(names) for moment, names in request.hooks.ListFields()}
    timeouts = {}
    if request.HasField("customTimeouts"):
        for call in ("create", "update", "delete"):
            duration = getattr(request.customTimeouts, call)
            if duration:
                timeouts[call] = seconds(duration)
    aliases = [Alias(urn=urn) for urn in request.aliasURNs]
    for alias in request.aliases:
        if alias.WhichOneof("alias") == "urn":
            aliases.append(Alias(urn=alias.urn))
        else:
            spec = alias.spec
            aliases.append(Alias("", spec.name, spec.type, spec.stack, spec.project, spec.parentUrn, spec.noParent))
    before = request.deleteBeforeReplaceDefined or request.deleteBeforeReplace
    return Goal(
        type=request.type,
        name=request.name,
        custom=request.custom,
        properties=properties,
        parent=request.parent,
        provider=request.provider,
        version=request.version,
        providers=dict(request.providers),
        dependencies=dependencies,
        property_dependencies={key: sorted(urns) for key, urns in by_property.items()},
        protect=request.protect if request.HasField("protect") else None,
        retain_on_delete=request.retainOnDelete if request.HasField("retainOnDelete") else None,
        delete_before_replace=request.deleteBeforeReplace if before else None,
        ignore_changes=list(request.ignoreChanges),
        replace_on_changes=list(request.replaceOnChanges),
        additional_secret_outputs=list(request.additionalSecretOutputs),
        aliases=aliases,
        import_id=request.importId,
        custom_timeouts=timeouts,
        deleted_with=request.deletedWith,
        source_position=position(request, root),
        hooks=hooks,
    )
