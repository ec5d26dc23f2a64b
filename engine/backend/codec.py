"""Resources and property values as JSON, as Pulumi's checkpoints spell them (``apitype.ResourceV3``)."""

from __future__ import annotations

import json
import math
import re
import struct
from collections.abc import Callable
from typing import Any, Final

from engine.model import UNKNOWN, Reference, Resource, Secret

signature: Final = "4dabf18193072939515e22adb298388d"
secret_signature: Final = "1b47061264138c4ac30d75fd1eb44270"
reference_signature: Final = "5cf8f73096256a8f31e491e813e4eb8e"
unknown_token: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
_float: Final = "8ad145fe-0d11-4827-bfd7-1abcbf086f5c"

Conceal = Callable[[Secret], Any]  # what stands in a secret's place
Open = Callable[[str], str]

# In the order in which Pulumi writes them; the attribute of ``importID`` is ``import_id``.
_names: Final = (
    "urn custom delete id type inputs outputs parent protect external dependencies initErrors provider "
    "propertyDependencies pendingReplacement additionalSecretOutputs aliases customTimeouts importID retainOnDelete "
    "deletedWith created modified sourcePosition ignoreChanges replaceOnChanges"
)
attributes: Final = {
    name: re.sub(r"(?<=[a-z])[A-Z]+", lambda capitals: f"_{capitals[0].lower()}", name) for name in _names.split()
}


def dumps(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def sealed(encrypt: Callable[[str], str], name: str = "ciphertext") -> Conceal:
    """Secrets as states and plans keep them; inside a secret all is encrypted already, and a mark is enough."""
    return lambda secret: {signature: secret_signature, name: encrypt(dumps(encode(secret.value, sealed(str))))}


def encode(value: Any, conceal: Conceal = str, *, infinite: bool = False) -> Any:
    """A property value as JSON-ready Python; secrets are masked unless ``conceal`` puts something else there.

    ``infinite``: numbers that are none stay as they are, which JSON has no words for.
    """
    if isinstance(value, dict):
        return {key: encode(item, conceal, infinite=infinite) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [encode(item, conceal, infinite=infinite) for item in value]
    if isinstance(value, Secret):
        return conceal(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return value if infinite else {signature: _float, "value": struct.pack(">d", value).hex()}
        return int(value) if value.is_integer() and abs(value) < 1e21 else value
    if value is UNKNOWN:
        return unknown_token
    if isinstance(value, Reference):
        id = {} if value.id is None else {"id": "" if value.id is UNKNOWN else value.id}
        return {signature: reference_signature, "urn": value.urn, "packageVersion": value.package_version, **id}
    return value


def decode(value: Any, open_: Open) -> Any:
    """The inverse of :func:`encode`.  Raises ValueError for a malformed secret; assets stay dictionaries."""
    if isinstance(value, list):
        return [decode(item, open_) for item in value]
    if isinstance(value, str):
        return UNKNOWN if value == unknown_token else value
    if not isinstance(value, dict):
        return value
    kind = value.get(signature)
    if kind == secret_signature:
        if ("ciphertext" in value) == ("plaintext" in value):
            raise ValueError("a secret must have exactly one of 'ciphertext' and 'plaintext'")
        text = value["plaintext"] if "plaintext" in value else open_(value["ciphertext"])
        return Secret(decode(json.loads(text), str))
    if kind == reference_signature:
        return Reference(value["urn"], value.get("id"), value.get("packageVersion", ""))
    if kind == _float:
        return struct.unpack(">d", bytes.fromhex(value["value"]))[0]
    return {key: decode(item, open_) for key, item in value.items()}


def fields(resource: Resource) -> dict[str, Any]:
    """A resource by the names of its fields, without what is empty; values are as they were."""
    values = {name: getattr(resource, attribute) for name, attribute in attributes.items()}
    return {name: v for name, v in values.items() if v or name in ("urn", "custom", "type")} | resource.extra


def resource_from_json(data: dict[str, Any], open_: Callable[[str, str], Open]) -> Resource:
    """One resource; ``open_(urn, "inputs")`` gives the decrypter for that map."""
    resource = Resource(data["urn"], data["type"], bool(data["custom"]))
    for name, value in data.items():
        attribute = attributes.get(name)
        if attribute is None:
            resource.extra[name] = value
        elif name in ("inputs", "outputs"):
            setattr(resource, attribute, decode(value, open_(resource.urn, name)))
        elif name == "propertyDependencies":
            resource.property_dependencies = {key: urns or [] for key, urns in value.items()}
        else:
            setattr(resource, attribute, value)
    return resource
