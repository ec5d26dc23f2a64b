"""What a deployment asks of a provider (a subset of ``pulumirpc.ResourceProvider``).

Values cross this line without :class:`~engine.model.Secret` marks; :data:`~engine.model.UNKNOWN` may
stand in inputs during a preview.  The deployment marks secrets again by key.
All calls may come from several threads at once.  An expected failure is a :class:`ProviderError`
whose message is fit for the person who ran the command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from engine.model import PropertyMap

Kind = Literal["add", "delete", "update", "add-replace", "delete-replace", "update-replace"]
Log = Callable[[Literal["debug", "info", "warning", "error"], str, bool], None]
"""``log(severity, message, ephemeral)``: an ephemeral message is progress, shown on the resource's row."""


class ProviderError(Exception):
    """A call failed; nothing is known to have been made."""


class PartialFailure(ProviderError):
    """The resource exists but is not as asked: it is saved with ``init_errors`` and updated next time."""

    def __init__(self, message: str, id: str, outputs: PropertyMap, inputs: PropertyMap | None = None) -> None:
        super().__init__(message)
        self.id, self.outputs, self.inputs = id, outputs, inputs


@dataclass(frozen=True)
class Call:
    """One resource: as it was (``id``, ``inputs``, ``outputs``), and the inputs that it shall have (``news``)."""

    urn: str
    id: str = ""
    inputs: PropertyMap = field(default_factory=dict)
    outputs: PropertyMap = field(default_factory=dict)
    news: PropertyMap = field(default_factory=dict)
    timeout: float = 0  # seconds, 0 for the provider's own default
    ignore: list[str] = field(default_factory=list)  # paths of inputs whose changes do not count
    preview: bool = False
    log: Log = lambda severity, message, ephemeral: None


@dataclass(frozen=True)
class CheckFailure:
    property: str
    reason: str


@dataclass(frozen=True)
class CheckResult:
    inputs: PropertyMap
    failures: list[CheckFailure] = field(default_factory=list)


@dataclass(frozen=True)
class DiffResult:
    """``changes`` None: the provider does not know, the deployment compares inputs itself."""

    changes: bool | None
    replaces: list[str] = field(default_factory=list)
    delete_before_replace: bool = False
    detailed: dict[str, Kind] | None = None  # by property path, for display


@dataclass(frozen=True)
class Found:
    """What there is, or was made.  ``id`` empty: it is gone (or, in a preview, not known yet)."""

    id: str
    outputs: PropertyMap
    inputs: PropertyMap | None = None


class Provider(Protocol):
    """One configured provider."""

    recovers: ClassVar[bool] = False  # it can tell what became of a creation whose end nobody saw

    def configure(self, inputs: PropertyMap) -> None:
        """Called first, once."""
        return

    def check(self, call: Call) -> CheckResult: ...
    def diff(self, call: Call) -> DiffResult: ...
    def create(self, call: Call) -> Found: ...
    def read(self, call: Call) -> Found: ...
    def update(self, call: Call) -> PropertyMap: ...
    def delete(self, call: Call) -> None: ...

    def recover(self, call: Call, known: set[str]) -> Found | None:
        """What was made for ``call.urn`` with ``call.news``, if anything was (``known``: ids that are others).

        Raises PartialFailure for what is there but has to be finished by an update.
        """
        return None

    def invoke(self, token: str, args: PropertyMap) -> PropertyMap:
        raise ProviderError(f"the embedded engine does not implement the function {token}")

    def close(self) -> None:
        """Called last."""
        return
