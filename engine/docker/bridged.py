"""What Network, Volume, RemoteImage and Container have in common: they all work from their table."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection
from typing import ClassVar

from engine.docker import compare, schema, stored
from engine.docker.client import Client
from engine.model import UNKNOWN, PropertyMap
from engine.provider import (
    CheckResult,
    DiffResult,
    Found,
    Log,
    PartialFailure,
    ProviderError,
)


class NotAsAsked(Exception):
    """The object was made (or changed) and stays, but is not as asked: ``id`` names it."""

    def __init__(self, id: str, message: str) -> None:
        super().__init__(message)
        self.id = id


class NameTaken(ProviderError):
    """Another object has the name already."""


class Bridged(ABC):
    """A resource type of the bridged provider.

    ``meta`` is what the bridge keeps in ``__meta``: the schema's version and its time-outs (nanoseconds).
    ``drifting`` names the properties that can change behind our back, None for all.
    """

    token: ClassVar[str]
    fields: ClassVar[tuple[schema.Property, ...]]
    meta: ClassVar[str]
    always_delete_first: ClassVar[bool] = False
    default_seconds: ClassVar[float] = 20 * 60.0
    drifting: ClassVar[frozenset[str] | None] = None

    def __init__(self, client: Client) -> None:
        self.client = client

    # --- what a type does itself --------------------------------------------------------------------

    @abstractmethod
    def make(self, inputs: PropertyMap, seconds: float, log: Log) -> str:
        """Create it and return its id.  Raises NotAsAsked when it exists but is not right."""

    @abstractmethod
    def live(self, id: str, inputs: PropertyMap) -> PropertyMap | None:
        """The properties as the daemon shows them (those that can be read); None when it is gone."""

    @abstractmethod
    def remove(self, id: str, inputs: PropertyMap, seconds: float, log: Log) -> None:
        """Delete it; one that is gone already is fine."""

    @abstractmethod
    def change(self, id: str, olds: PropertyMap, news: PropertyMap, seconds: float, log: Log) -> None:
        """Bring the existing object to ``news``, as far as the table says that it can be changed in place."""

    # --- the provider's calls -----------------------------------------------------------------------

    def check(self, name: str, olds: PropertyMap, news: PropertyMap) -> CheckResult:
        inputs, failures = schema.check(self.fields, name, olds, news)
        return CheckResult(inputs, failures)

    def diff(self, old_inputs: PropertyMap, news: PropertyMap) -> DiffResult:
        detailed = compare.diff(self.fields, old_inputs, news)
        replaces = sorted({top_level(path) for path, kind in detailed.items() if kind.endswith("-replace")})
        # Two objects cannot have one name: a name that somebody chose is only free once the old one is gone.
        named = any(row.autonamed for row in self.fields) and "name" not in news.get(schema.DEFAULTS, ["name"])
        first = bool(replaces) and (self.always_delete_first or (named and old_inputs.get("name") == news.get("name")))
        return DiffResult(bool(detailed), replaces, first, detailed)

    def create(self, inputs: PropertyMap, timeout: float, preview: bool, log: Log) -> Found:
        if preview:
            computed = {row.name: UNKNOWN for row in self.fields if row.output or row.computed}
            return Found("", {**computed, **schema.without_defaults(inputs)})
        try:
            id = self.make(inputs, timeout or self.default_seconds, log)
        except NotAsAsked as problem:
            raise PartialFailure(str(problem), problem.id, self._outputs(problem.id, inputs)) from problem
        return Found(id, self._outputs(id, inputs))

    def read(self, id: str, inputs: PropertyMap, outputs: PropertyMap) -> Found:
        live = self.live(id, inputs)
        if live is None:
            return Found("", {})
        if inputs:
            seen = {name: live[name] for name in live if self.drifting is None or name in self.drifting}
            known = compare.read_inputs(self.fields, inputs, seen)
        else:
            known = compare.found_inputs(self.fields, live)
        empty = {name for name, value in (outputs or live).items() if value == {}}
        return Found(self.new_id(id, live), self._shape(id, known, live, empty), known)

    def update(
        self, id: str, olds: PropertyMap, old_outputs: PropertyMap, news: PropertyMap, timeout: float, preview: bool,
        log: Log,
    ) -> PropertyMap:  # fmt: skip
        if preview:
            return {**old_outputs, **schema.without_defaults(news)}
        try:
            self.change(id, olds, news, timeout or self.default_seconds, log)
        except NotAsAsked as problem:
            raise PartialFailure(str(problem), problem.id, self._outputs(id, news), news) from problem
        return self._outputs(id, news)

    def delete(self, id: str, inputs: PropertyMap, timeout: float, log: Log) -> None:
        self.remove(id, inputs, timeout or self.default_seconds, log)

    def new_id(self, id: str, live: PropertyMap) -> str:
        """The id after a read, which only types whose id holds a value of theirs can change."""
        return id

    def _outputs(self, id: str, inputs: PropertyMap) -> PropertyMap:
        live = self.live(id, inputs)
        if live is None:
            raise ProviderError(f"{self.token} {id} vanished while it was being set up; run the update again")
        return self._shape(id, inputs, live)

    def _shape(self, id: str, inputs: PropertyMap, live: PropertyMap, empty: Collection[str] = ()) -> PropertyMap:
        return stored.outputs(self.fields, inputs, live, self.new_id(id, live), self.meta, empty)


def top_level(path: str) -> str:
    """The property that a path such as ``ports[0].external`` belongs to."""
    return path.split(".", 1)[0].split("[", 1)[0]
