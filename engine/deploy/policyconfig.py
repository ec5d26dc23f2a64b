"""The settings of a policy pack: its defaults, its own initial ones, those of a file; checked by its schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from engine.deploy.schema import UnsupportedSchema, complaints
from engine.provider import ProviderError

levels: Final = ("advisory", "mandatory", "disabled", "remediate")  # in the order of the protocol's numbers


@dataclass(frozen=True)
class Policy:
    """What a pack says of one of its policies; ``properties`` are JSON schemas by setting."""

    name: str
    level: str
    severity: str
    properties: dict[str, Any]
    required: list[str]


@dataclass(frozen=True)
class Setting:
    """``level`` "" leaves the level as it is."""

    level: str = ""
    properties: dict[str, Any] = field(default_factory=dict)


def read(path: str) -> dict[str, Setting]:
    """The settings of a file by policy (or ``all``).  Raises ProviderError."""
    try:
        text = Path(path).read_text(encoding="utf-8")
        document = json.loads(text) if text.strip() else {}
    except (OSError, ValueError) as error:
        raise ProviderError(f"the policy configuration {path} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise ProviderError(f"the policy configuration {path} must be an object: policies by name")
    if document.pop("environments", None):
        raise ProviderError(f"{path}: 'environments' (Pulumi ESC) is not supported by the embedded engine")
    return {name: _setting(path, name, value) for name, value in document.items()}


def _setting(path: str, name: str, value: Any) -> Setting:
    if not isinstance(value, (str, dict)):
        text = json.dumps(value)
        raise ProviderError(f'{path}: parsing "{name}": {text} is not a valid value; must be a string or object')
    properties = dict(value) if isinstance(value, dict) else {}
    level = properties.pop("enforcementLevel", None) if isinstance(value, dict) else value
    if level is not None and level not in levels:
        raise ProviderError(
            f'{path}: parsing enforcement level for "{name}": {json.dumps(level)} is not a valid enforcement level; '
            f"write one of {', '.join(levels)}"
        )
    return Setting(level or "", properties)


def reconcile(policies: list[Policy], *layers: Mapping[str, Setting]) -> dict[str, Setting]:
    """The settings in force: the policies' defaults, changed by each layer in turn."""
    result = {
        policy.name: Setting(
            policy.level, {key: schema["default"] for key, schema in policy.properties.items() if "default" in schema}
        )
        for policy in policies
    }
    for layer in layers:
        if (everything := layer.get("all", Setting()).level) != "":
            result = {name: Setting(everything, setting.properties) for name, setting in result.items()}
        for name, given in layer.items():
            before = result.get(name, Setting())
            result[name] = Setting(given.level or before.level, {**before.properties, **given.properties})
    return result


def problems(policies: list[Policy], settings: Mapping[str, Setting]) -> list[str]:
    """What the policies' schemas have against the settings.  Raises ProviderError for a schema that is beyond us."""
    found = []
    for policy in policies:
        schema = {"type": "object", "properties": policy.properties, "required": policy.required}
        try:
            found += [f"{policy.name}: {text}" for text in complaints(settings[policy.name].properties, schema)]
        except UnsupportedSchema as error:
            message = f"policy {policy.name}: {error}, which the embedded engine does not implement"
            raise ProviderError(message) from error
    return found
