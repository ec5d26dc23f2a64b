"""Property values on the wire (``google.protobuf.Struct`` with Pulumi's signatures) and in Python.

The signatures are those of ``pulumi/runtime/rpc.py``.
"""

from __future__ import annotations

from typing import Any, Final

from google.protobuf import struct_pb2

from engine.model import UNKNOWN, PropertyMap, Reference, Secret, contains_secret

signature: Final = "4dabf18193072939515e22adb298388d"
secret_signature: Final = "1b47061264138c4ac30d75fd1eb44270"
output_signature: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
reference_signature: Final = "5cf8f73096256a8f31e491e813e4eb8e"
unknown_token: Final = "04da6b54-80e4-46f7-96ec-b56ff0331ba9"
unsupported_signatures: Final = {
    "c44067f5952c0a294b673a41bacd8c17": "an asset",
    "0def7320c3a5731c473e5ecbe6d01bc7": "an archive",
}


class UnsupportedValue(Exception):
    """A kind of value that this engine does not carry; the message names it and where it stands."""


def from_struct(struct: struct_pb2.Struct, dependencies: dict[str, set[str]] | None = None) -> PropertyMap:
    """Values of a struct; URNs that output values depend on are added to ``dependencies`` by property."""
    result = {}
    for key, value in struct.fields.items():
        found: set[str] = set()
        result[key] = _from_value(value, key, found)
        if dependencies is not None:
            dependencies.setdefault(key, set()).update(found)
    return result


def _from_value(value: struct_pb2.Value, path: str, found: set[str]) -> Any:
    match value.WhichOneof("kind"):
        case "string_value":
            return UNKNOWN if value.string_value == unknown_token else value.string_value
        case "number_value":
            number = value.number_value
            return int(number) if number.is_integer() and abs(number) < 1e21 else number
        case "bool_value":
            return value.bool_value
        case "struct_value":
            fields = value.struct_value.fields
            if signature in fields:
                return _from_special(fields, path, found)
            return {key: _from_value(item, f"{path}.{key}", found) for key, item in fields.items()}
        case "list_value":
            return [_from_value(item, f"{path}[{i}]", found) for i, item in enumerate(value.list_value.values)]
        case _:
            return None


def _from_special(fields: Any, path: str, found: set[str]) -> Any:
    kind = fields[signature].string_value
    if kind == secret_signature:
        inner = _from_value(fields["value"], path, found)
        return inner if isinstance(inner, Secret) else Secret(inner)
    if kind == output_signature:
        if "dependencies" in fields:
            found.update(item.string_value for item in fields["dependencies"].list_value.values)
        known = _from_value(fields["value"], path, found) if "value" in fields else UNKNOWN
        is_secret = "secret" in fields and fields["secret"].bool_value
        return Secret(known) if is_secret and not isinstance(known, Secret) else known
    if kind == reference_signature:
        id = _from_value(fields["id"], path, found) if "id" in fields else None
        version = fields["packageVersion"].string_value if "packageVersion" in fields else ""
        return Reference(fields["urn"].string_value, UNKNOWN if id == "" else id, version)
    name = unsupported_signatures.get(kind, f"a value of unknown signature {kind}")
    raise UnsupportedValue(f"property '{path}' holds {name}, which the embedded engine does not support")


def to_struct(values: PropertyMap) -> struct_pb2.Struct:
    """The reverse, with every mark kept; give it plain values for a receiver that accepts no marks."""
    struct = struct_pb2.Struct()
    for key, value in values.items():
        _put(struct.fields[key], value)
    return struct


def _put(target: struct_pb2.Value, value: Any) -> None:
    if value is None:
        target.null_value = struct_pb2.NULL_VALUE
    elif value is UNKNOWN:
        target.string_value = unknown_token
    elif isinstance(value, bool):
        target.bool_value = value
    elif isinstance(value, (int, float)):
        target.number_value = value
    elif isinstance(value, str):
        target.string_value = value
    elif isinstance(value, dict):
        target.struct_value.SetInParent()
        for key, item in value.items():
            _put(target.struct_value.fields[key], item)
    elif isinstance(value, (list, tuple)):
        target.list_value.SetInParent()
        for item in value:
            _put(target.list_value.values.add(), item)
    elif isinstance(value, Secret):
        _put(target, {signature: secret_signature, "value": value.value})
    elif isinstance(value, Reference):
        special: dict[str, Any] = {signature: reference_signature, "urn": value.urn}
        if value.id is not None:
            special["id"] = value.id
        if value.package_version:
            special["packageVersion"] = value.package_version
        _put(target, special)
    else:
        raise UnsupportedValue(f"a value of type {type(value).__name__} cannot be sent to a program or provider")


def plain(value: Any) -> Any:
    """The value as a provider sees it that accepts neither secrets nor references: an id stands for a resource."""
    if isinstance(value, Secret):
        return plain(value.value)
    if isinstance(value, Reference):
        return value.urn if value.id is None else value.id
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def mark_like(values: PropertyMap, model: PropertyMap) -> PropertyMap:
    """``values`` with secrets marked where the same key of ``model`` holds one.

    Providers that do not accept secrets hand them back in plain; as in the real engine an object is
    gone into, and anything else becomes a secret as a whole.
    """
    result = dict(values)
    for key, value in values.items():
        if key not in model or isinstance(value, Secret):
            continue
        like = model[key]
        if isinstance(value, dict) and isinstance(like, dict):
            result[key] = mark_like(value, like)
        elif contains_secret(like):
            result[key] = Secret(value)
    return result


def same(left: Any, right: Any) -> bool:
    """Equality of values, where ``True`` is not ``1``; a secret equals only a secret."""
    if isinstance(left, Secret) and isinstance(right, Secret):
        return same(left.value, right.value)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(same, left, right))
    if isinstance(left, bool) != isinstance(right, bool):
        return False
    return bool(left is right or ((type(left) is type(right) or _numbers(left, right)) and left == right))


def _numbers(left: Any, right: Any) -> bool:
    return isinstance(left, (int, float)) and isinstance(right, (int, float))
