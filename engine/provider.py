"""What a deployment asks of a provider (a subset of ``pulumirpc.ResourceProvider``).

Values cross this line without :class:`~engine.model.Secret` marks; :data:`~engine.model.UNKNOWN` may
stand in inputs during a preview.  The deployment marks secrets again by key.
All calls may come from several threads at once.  An expected failure is a :class:`ProviderError`
whose message is fit for the person who ran the command.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, Protocol, runtime_checkable

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
class CreateResult:
    id: str
    outputs: PropertyMap


@dataclass(frozen=True)
class ReadResult:
    """``id`` empty: the resource is gone."""

    id: str
    outputs: PropertyMap
    inputs: PropertyMap | None = None


class Provider(Protocol):
    """One configured provider.  ``timeout`` is in seconds, 0 for the provider's own default."""

    def configure(self, inputs: PropertyMap) -> None: ...

    def check(self, urn: str, olds: PropertyMap, news: PropertyMap) -> CheckResult: ...

    def diff(
        self, urn: str, id: str, old_inputs: PropertyMap, old_outputs: PropertyMap, news: PropertyMap, ignore: list[str]
    ) -> DiffResult: ...

    def create(self, urn: str, inputs: PropertyMap, timeout: float, preview: bool, log: Log) -> CreateResult: ...

    def read(self, urn: str, id: str, inputs: PropertyMap, outputs: PropertyMap, log: Log) -> ReadResult: ...

    def update(
        self,
        urn: str,
        id: str,
        old_inputs: PropertyMap,
        old_outputs: PropertyMap,
        news: PropertyMap,
        timeout: float,
        ignore: list[str],
        preview: bool,
        log: Log,
    ) -> PropertyMap: ...

    def delete(
        self, urn: str, id: str, inputs: PropertyMap, outputs: PropertyMap, timeout: float, log: Log
    ) -> None: ...

    def invoke(self, token: str, args: PropertyMap) -> PropertyMap: ...

    def close(self) -> None: ...


@runtime_checkable
class Recovers(Protocol):
    """A provider that can tell what became of a creation whose end nobody saw."""

    def recover(self, urn: str, inputs: PropertyMap, known: set[str], log: Log) -> CreateResult | None:
        """What was made for ``urn`` with these inputs, if anything was (``known``: ids that are others).

        Raises PartialFailure for what is there but has to be finished by an update.
        """
        ...
