"""Property values on the wire (``google.protobuf.Struct`` with Pulumi's signatures) and in Python.

The signatures are those of ``pulumi/runtime/rpc.py``.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from google.protobuf import struct_pb2

from engine.backend.codec import encode, reference_signature, secret_signature, signature, unknown_token
from engine.model import UNKNOWN, PropertyMap, Reference, Secret, contains_secret, mapped

output_signature: Final = "d0e6a833031e9bbcd3f4e8bde6ca49a4"
_unsupported: Final = {
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
                return _special({key: _from_value(item, path, found) for key, item in fields.items()}, path, found)
            return {key: _from_value(item, f"{path}.{key}", found) for key, item in fields.items()}
        case "list_value":
            return [_from_value(item, f"{path}[{i}]", found) for i, item in enumerate(value.list_value.values)]
        case _:
            return None


def _special(fields: PropertyMap, path: str, found: set[str]) -> Any:
    kind = fields[signature]
    if kind == secret_signature:
        return as_secret(fields["value"])
    if kind == output_signature:
        found.update(fields.get("dependencies", ()))
        value = fields.get("value", UNKNOWN)
        return as_secret(value) if fields.get("secret") else value
    if kind == reference_signature:
        id = UNKNOWN if fields.get("id") == "" else fields.get("id")
        return Reference(fields["urn"], id, fields.get("packageVersion", ""))
    name = _unsupported.get(kind, f"a value of unknown signature {kind}")
    raise UnsupportedValue(f"property '{path}' holds {name}, which the embedded engine does not support")


def as_secret(value: Any) -> Secret:
    return value if isinstance(value, Secret) else Secret(value)


def to_struct(values: PropertyMap) -> struct_pb2.Struct:
    """The reverse, with every mark kept; give it plain values for a receiver that accepts no marks."""
    struct = struct_pb2.Struct()
    struct.update(encode(values, _sent, infinite=True))
    return struct


def _sent(secret: Secret) -> PropertyMap:
    return {signature: secret_signature, "value": encode(secret.value, _sent, infinite=True)}


def plain(value: Any) -> Any:
    """The value as a provider sees it that accepts neither secrets nor references: an id stands for a resource."""
    return mapped(value, lambda leaf: plain(leaf.value) if isinstance(leaf, Secret) else by_id(leaf))


def by_id(value: Any) -> Any:
    """What stands for a reference where none is understood: the resource's id, or else its URN."""
    return (value.urn if value.id is None else value.id) if isinstance(value, Reference) else value


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


def same(left: Any, right: Any, *, unknown_is_any: bool = False) -> bool:
    """Equality of values, where ``True`` is not ``1``; a secret equals only a secret."""
    alike = partial(same, unknown_is_any=unknown_is_any)
    if left is right or (unknown_is_any and (left is UNKNOWN or right is UNKNOWN)):
        return True
    if isinstance(left, Secret) and isinstance(right, Secret):
        return alike(left.value, right.value)
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(alike(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(alike, left, right))
    return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)
