"""The snapshot while it changes: what was there, what this operation has done, what is under way.

As in the real engine the resources that this operation has finished come first, in the order in which
they were finished, then those of the base that it has not dealt with: both lists are in dependency
order, and so is the whole.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from engine.deploy.values import as_secret
from engine.model import PendingOperation, PropertyMap, Resource, Secret, Snapshot


def now() -> str:
    """The time in RFC 3339, as Pulumi writes it."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


def provider_urn(reference: str) -> str:
    """The URN of a provider reference ``<URN>::<ID>``."""
    return reference.rpartition("::")[0]


def dependencies_of(resource: Resource) -> set[str]:
    """URNs that must exist before this resource, its parent and its provider among them."""
    urns = {resource.parent, resource.deleted_with, *resource.dependencies}
    urns.update(urn for some in resource.property_dependencies.values() for urn in some)
    if resource.provider:
        urns.add(provider_urn(resource.provider))
    urns.discard("")
    return urns


class State:
    """Thread-safe.  ``save`` gets a snapshot whose resources nobody changes any more: an unchanged resource is the
    same object from one save to the next."""

    def __init__(self, base: Snapshot, save: Callable[[Snapshot], None] | None) -> None:
        self.lock = threading.RLock()
        self.metadata = base.metadata
        self.aliases: dict[str, str] = {}  # old URN -> new URN
        # What an earlier operation left under way stays on record until it is settled; a read changed nothing.
        urns = {resource.urn for resource in base.resources}
        self.unresolved = [
            pending
            for pending in base.pending_operations
            if pending.type == "creating" or (pending.type in ("updating", "deleting") and pending.resource.urn in urns)
        ]
        self._news: list[Resource] = []
        self._done: dict[int, Resource] = {}  # by identity, and kept alive so that an identity is not used again
        self._pending: dict[int, PendingOperation] = {}
        self._copies: dict[int, Resource] = {}  # of resources as last saved, by identity
        self._copied_aliases = 0
        self._save = save
        self._save_lock = threading.Lock()
        self._changed = 1  # versions of the state: the one now, and the one last saved
        self._saved = 0
        self.rebase([copy.copy(resource) for resource in base.resources])

    def rebase(self, resources: list[Resource]) -> None:
        """Start from these resources (in dependency order), as after a refresh."""
        self._copies.clear()
        self.base = resources
        self.olds = {resource.urn: resource for resource in resources if not resource.delete}

    def adopt(self, new: Resource) -> None:
        """``new`` was made by an operation that was cut short before it could say so."""
        with self.lock:
            old = self.olds.get(new.urn)
            # Where the old one stands all that the new one needs stands before it, as in the interrupted operation.
            self.base.insert(len(self.base) if old is None else self.base.index(old), new)
            if old is not None and old.pending_replacement:
                self.base.remove(old)
            elif old is not None:
                old.delete = True
                self.changed(old)
            self.olds[new.urn] = new

    def settle(self, *settled: PendingOperation) -> None:
        """Nothing remains to be found out about these interrupted operations."""
        if settled:
            with self.lock:
                self.unresolved = [pending for pending in self.unresolved if pending not in settled]
            self.commit()

    def begin(self, resource: Resource, type: str) -> None:
        """Put on record that a call for ``resource`` starts: ``type`` is creating, updating, ..."""
        with self.lock:
            self._pending[id(resource)] = PendingOperation(resource, type)
        self.commit()

    def end(self, resource: Resource, *, done: bool = False) -> None:
        """``done``: whatever was unknown of an earlier call for this resource no longer matters."""
        with self.lock:
            if self._pending.pop(id(resource), None) and done:
                self.unresolved = [p for p in self.unresolved if p.resource.urn != resource.urn]

    def replace(self, old: Resource | None, new: Resource | None) -> None:
        """``old`` is dealt with, ``new`` stands in the state from now on."""
        with self.lock:
            if old is not None:
                self._done[id(old)] = old
                self.changed(old)
            if new is not None:
                self._news.append(new)
                self.changed(new)

    def changed(self, resource: Resource) -> None:
        """To be called when fields of a resource that stands in the state were set."""
        self._copies.pop(id(resource), None)

    def touch(self) -> None:
        """The state differs from what was saved, but need not be saved at once."""
        with self.lock:
            self._changed += 1

    def commit(self) -> None:
        """Save what the state is now.  Threads that wait for the same save share one."""
        if self._save is None:
            return
        with self.lock:
            self._changed += 1
            mine = self._changed
        self._save_up_to(mine)

    def flush(self) -> None:
        """Save if anything was put off."""
        if self._save is not None:
            self._save_up_to(self._changed)

    def _save_up_to(self, version: int) -> None:
        with self._save_lock:
            if self._saved >= version:
                return
            with self.lock:
                version, snapshot = self._changed, self.snapshot()
            assert self._save is not None
            self._save(snapshot)
            self._saved = version

    def snapshot(self) -> Snapshot:
        with self.lock:
            if self._copied_aliases != len(self.aliases):
                self._copied_aliases = len(self.aliases)
                self._copies.clear()
            resources = [r for r in [*self._news, *self.base] if id(r) not in self._done]
            for resource in resources:
                if id(resource) not in self._copies:
                    self._copies[id(resource)] = self._normalized(resource)
            begun = {pending.resource.urn for pending in self._pending.values()}
            pending = [*self._pending.values(), *(p for p in self.unresolved if p.resource.urn not in begun)]
            return Snapshot(
                [self._copies[id(resource)] for resource in resources],
                [PendingOperation(self._normalized(p.resource), p.type) for p in pending],
                self.metadata,
            )

    def _normalized(self, resource: Resource) -> Resource:
        """A copy in which resources that were renamed (by alias) are referred to by their new URN."""
        result = copy.copy(resource)
        if not self.aliases:
            return result

        def new(urn: str) -> str:
            return self.aliases.get(urn, urn)

        result.parent, result.deleted_with = new(result.parent), new(result.deleted_with)
        result.dependencies = [*map(new, result.dependencies)]
        result.property_dependencies = {k: [*map(new, urns)] for k, urns in result.property_dependencies.items()}
        urn, separator, id_ = result.provider.rpartition("::")
        result.provider = new(urn) + separator + id_
        return result


def worth_saving(old: Resource, new: Resource) -> bool:
    """Whether a step that changed nothing real still changed what is recorded."""
    fields = "urn type custom custom_timeouts retain_on_delete provider parent deleted_with protect inputs outputs"
    changed = any(getattr(old, name) != getattr(new, name) for name in fields.split())
    return changed or sorted(old.dependencies) != sorted(new.dependencies)


def repaired(resources: list[Resource]) -> list[Resource]:
    """The resources without references to ones that are gone (after a refresh)."""
    known: set[str] = set()
    for resource in resources:
        resource.dependencies = [urn for urn in resource.dependencies if urn in known]
        left = {key: [urn for urn in urns if urn in known] for key, urns in resource.property_dependencies.items()}
        resource.property_dependencies = {key: urns for key, urns in left.items() if urns}
        if resource.deleted_with not in known:
            resource.deleted_with = ""
        if resource.parent not in known:
            resource.parent = ""
        known.add(resource.urn)
    return resources


def secret_outputs(resource: Resource) -> PropertyMap:
    """Outputs with those marked that were asked for, or whose input of the same name is a secret."""
    asked = set(resource.additional_secret_outputs)
    marked = asked | {key for key, value in resource.inputs.items() if isinstance(value, Secret)}
    return {key: as_secret(value) if key in marked else value for key, value in resource.outputs.items()}
