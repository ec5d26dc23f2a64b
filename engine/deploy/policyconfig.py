"""The settings of a policy pack: its defaults, its own initial ones, those of a file; checked by its schemas."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from google.protobuf import json_format

from engine.deploy.schema import UnsupportedSchema, complaints
from engine.provider import ProviderError

levels: Final = ("advisory", "mandatory", "disabled", "remediate")  # in the order of the protocol's numbers


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
    properties = dict(value) if isinstance(value, dict) else {"enforcementLevel": value}
    level = properties.pop("enforcementLevel", None)
    if level is not None and level not in levels:
        raise ProviderError(
            f'{path}: parsing enforcement level for "{name}": {json.dumps(level)} is not a valid enforcement level; '
            f"write one of {', '.join(levels)}"
        )
    return Setting(level or "", properties)


def initial(config: Mapping[str, Any]) -> dict[str, Setting]:
    """What a pack comes with (``PolicyConfig`` by policy)."""
    return {
        name: Setting(levels[given.enforcementLevel], json_format.MessageToDict(given.properties))
        for name, given in config.items()
    }


def reconcile(policies: list[Any], *layers: Mapping[str, Setting]) -> dict[str, Setting]:
    """The settings in force: the defaults of the policies (``PolicyInfo``), changed by each layer in turn."""
    result = {}
    for policy in policies:
        schemas = json_format.MessageToDict(policy.configSchema.properties)
        defaults = {key: schema["default"] for key, schema in schemas.items() if "default" in schema}
        result[policy.name] = Setting(levels[policy.enforcementLevel], defaults)
    for layer in layers:
        if everything := layer.get("all", Setting()).level:
            result = {name: Setting(everything, setting.properties) for name, setting in result.items()}
        for name, given in layer.items():
            before = result.get(name, Setting())
            result[name] = Setting(given.level or before.level, {**before.properties, **given.properties})
    return result


def problems(policies: list[Any], settings: Mapping[str, Setting]) -> list[str]:
    """What the policies' schemas have against the settings.  Raises ProviderError for a schema that is beyond us."""
    found = []
    for policy in policies:
        schema = {"type": "object", **json_format.MessageToDict(policy.configSchema)}
        try:
            found += [f"{policy.name}: {text}" for text in complaints(settings[policy.name].properties, schema)]
        except UnsupportedSchema as error:
            message = f"policy {policy.name}: {error}, which the embedded engine does not implement"
            raise ProviderError(message) from error
    return found
