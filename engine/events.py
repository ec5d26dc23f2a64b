"""What a deployment reports while it runs; the displays are the only readers.

Events are immutable and come in order.  Operation names are Pulumi's: ``Half`` of a replacement, or ``Whole``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from engine.model import PropertyMap, Resource
from engine.provider import Kind

Whole = Literal["same", "create", "update", "delete", "replace", "read", "refresh", "import", "discard"]
Half = Literal["create-replacement", "delete-replaced", "read-replacement", "import-replacement", "discard-replaced"]
Operation = Whole | Half | Literal["remove-pending-replace"]


@dataclass(frozen=True)
class Started:
    """Once, first: ``verb`` is update, preview, refresh or destroy."""

    verb: str
    stack: str
    project: str
    preview: bool
    config: dict[str, str]


@dataclass(frozen=True)
class Step:
    """``old`` is None for a create, ``new`` for a delete."""

    urn: str
    op: Operation
    old: Resource | None
    new: Resource | None

    @property
    def resource(self) -> Resource:
        """The newest that is known of it."""
        return self.new or self.old or Resource(self.urn, "", False)


@dataclass(frozen=True)
class StepStarted(Step):
    """``replaces`` and ``detailed`` as the diff said; for a refresh step ``new`` is only known when it is done."""

    replaces: list[str] = field(default_factory=list)
    detailed: dict[str, Kind] | None = None


@dataclass(frozen=True)
class StepDone(Step):
    """``op`` may differ from the start's: a step that began as refresh (``refreshed``) is same, update or delete."""

    seconds: float
    detailed: dict[str, Kind] | None = None
    refreshed: bool = False


@dataclass(frozen=True)
class StepFailed:
    urn: str
    op: Operation
    message: str
    seconds: float


@dataclass(frozen=True)
class OutputsRegistered:
    """A component (or the stack) registered its outputs."""

    urn: str
    old: Resource | None
    new: Resource


@dataclass(frozen=True)
class Diagnostic:
    """A message; ``urn`` empty means the stack.  An ephemeral one is progress on that resource's row."""

    severity: Literal["debug", "info", "warning", "error"]
    message: str
    urn: str = ""
    ephemeral: bool = False
    stream: Literal["log", "stdout", "stderr"] = "log"


@dataclass(frozen=True)
class Violation:
    """A resource (or the stack, by its URN) does not keep to a policy.  ``severity`` may be empty."""

    urn: str
    pack: str
    version: str
    policy: str
    level: Literal["advisory", "mandatory"]
    severity: str
    message: str


@dataclass(frozen=True)
class Remediation:
    """A policy changed the inputs of a resource."""

    urn: str
    pack: str
    version: str
    policy: str
    before: PropertyMap
    after: PropertyMap


@dataclass(frozen=True)
class Finished:
    """Once, last.  ``changes`` counts steps by operation, ``same`` included; ``packs`` are the policy packs that were
    loaded: (name, version, path).
    """

    changes: dict[str, int]
    seconds: float
    failed: bool
    outputs_old: dict[str, object] = field(default_factory=dict)
    outputs_new: dict[str, object] = field(default_factory=dict)
    packs: tuple[tuple[str, str, str], ...] = ()


Event = (
    Started | StepStarted | StepDone | StepFailed | OutputsRegistered | Diagnostic | Violation | Remediation | Finished
)
Emit = Callable[[Event], None]
