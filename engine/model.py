"""Resources and property values, as every part of the engine sees them.

A property value is plain JSON-like Python (``None``, ``bool``, ``int``, ``float``, ``str``, ``list``,
``dict[str, ...]``) and three more: :class:`Secret`, :data:`UNKNOWN`, :class:`Reference`.
Field names follow Pulumi's ``sdk/go/common/apitype/core.go``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Final

type_stack: Final = "pulumi:pulumi:Stack"
provider_prefix: Final = "pulumi:providers:"

PropertyMap = dict[str, Any]


class _Unknown(Enum):
    """A value that only an update can tell; there is one, :data:`UNKNOWN`."""

    token = "UNKNOWN"

    def __repr__(self) -> str:
        return "UNKNOWN"

    def __bool__(self) -> bool:
        raise TypeError("an unknown value has no truth: compare it with 'is UNKNOWN'")


UNKNOWN: Final = _Unknown.token


@dataclass(frozen=True)
class Secret:
    """A value that is encrypted in state and shown as ``[secret]``."""

    value: Any

    def __repr__(self) -> str:
        return "[secret]"


@dataclass(frozen=True)
class Reference:
    """A reference to a resource (``id`` is None for components, may be UNKNOWN)."""

    urn: str
    id: Any = None
    package_version: str = ""


def mapped(value: Any, change: Callable[[Any], Any], skip: str = "") -> Any:
    """The value with ``change`` made to all that is neither object nor list; without keys that begin with ``skip``."""
    if isinstance(value, dict):
        kept = (key for key in value if not skip or not key.startswith(skip))
        return {key: mapped(value[key], change, skip) for key in kept}
    return [mapped(item, change, skip) for item in value] if isinstance(value, list) else change(value)


def unwrap(value: Any) -> Any:
    """The same value without any :class:`Secret` marks, at every depth."""
    return mapped(value, lambda leaf: unwrap(leaf.value) if isinstance(leaf, Secret) else leaf)


def parts(value: Any) -> Iterator[Any]:
    """The value and everything in it, at every depth, secrets and what they hold among them."""
    yield value
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for item in [value.value] if isinstance(value, Secret) else inner:
        yield from parts(item)


def contains(value: Any, wanted: Callable[[Any], bool]) -> bool:
    """Whether something that is ``wanted`` stands anywhere inside the value."""
    return any(map(wanted, parts(value)))


def contains_unknown(value: Any) -> bool:
    """Whether :data:`UNKNOWN` stands anywhere inside the value."""
    return contains(value, lambda item: item is UNKNOWN)


def contains_secret(value: Any) -> bool:
    """Whether a :class:`Secret` stands anywhere inside the value."""
    return contains(value, lambda item: isinstance(item, Secret))


@dataclass
class Resource:
    """One resource of a checkpoint (``ResourceV3``)."""

    urn: str
    type: str
    custom: bool
    id: str = ""
    parent: str = ""
    inputs: PropertyMap = field(default_factory=dict)
    outputs: PropertyMap = field(default_factory=dict)
    provider: str = ""
    dependencies: list[str] = field(default_factory=list)
    property_dependencies: dict[str, list[str]] = field(default_factory=dict)
    delete: bool = False  # waits for its deletion; a newer one with the same URN took its place
    protect: bool = False
    external: bool = False  # read, not managed
    retain_on_delete: bool = False
    pending_replacement: bool = False
    init_errors: list[str] = field(default_factory=list)
    additional_secret_outputs: list[str] = field(default_factory=list)
    aliases: list[str] = field(default_factory=list)
    custom_timeouts: dict[str, float] = field(default_factory=dict)  # seconds by create/update/delete
    import_id: str = ""
    deleted_with: str = ""
    ignore_changes: list[str] = field(default_factory=list)
    replace_on_changes: list[str] = field(default_factory=list)
    created: str = ""  # RFC 3339
    modified: str = ""
    source_position: str = ""
    extra: dict[str, Any] = field(default_factory=dict)  # fields that we do not know, kept as they came

    @property
    def name(self) -> str:
        return self.urn.rsplit("::", 1)[-1]

    @property
    def is_provider(self) -> bool:
        return self.type.startswith(provider_prefix)


@dataclass
class PendingOperation:
    """A call that was begun and whose end is not known: ``type`` is creating, updating, deleting, ..."""

    resource: Resource
    type: str


@dataclass
class Snapshot:
    """The state of one stack, in dependency order (a resource stands after all that it needs)."""

    resources: list[Resource] = field(default_factory=list)
    pending_operations: list[PendingOperation] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)

    def stack(self) -> Resource | None:
        """The root resource, whose outputs are the stack's outputs."""
        return next((r for r in self.resources if r.type == type_stack and not r.delete), None)
