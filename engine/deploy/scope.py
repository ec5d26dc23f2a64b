"""What was asked for: ``--target`` with ``--target-dependents``, and ``--replace``."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from engine.deploy.options import Options
from engine.deploy.state import dependencies_of
from engine.model import Resource, type_stack

_wildcard: Final = re.compile(r"(\*\*?)")


class Urns:
    """URNs as they were given: ``*`` stands for anything without a colon in it, ``**`` for anything."""

    def __init__(self, given: Iterable[str]) -> None:
        self._given = tuple(given)
        self.literals = [urn for urn in self._given if "*" not in urn]
        parts = {"*": "[^:]*", "**": ".*"}
        patterns = ["".join(parts.get(p) or re.escape(p) for p in _wildcard.split(urn)) for urn in self._given]
        self._pattern = re.compile("|".join(patterns))

    def __bool__(self) -> bool:
        return bool(self._given)

    def __contains__(self, urn: str) -> bool:
        return bool(self) and self._pattern.fullmatch(urn) is not None

    def unknown(self, known: set[str]) -> str:
        """A complaint about URNs that are not ``known``, "" when there are none."""
        return "\n".join(f"Target '{u}' could not be found in the stack." for u in self.literals if u not in known)


class Scope:
    """Call :meth:`includes` in dependency order: what depends on a target may be worked on too."""

    def __init__(self, options: Options) -> None:
        self.targets, self.replace = Urns(options.targets), Urns(options.replace)
        self.dependents = options.target_dependents
        self._reached: set[str] = set()
        self.skipped: set[str] = set()  # would be created, were they targets

    def includes(self, resource: Resource) -> bool:
        if not self.targets:
            return True
        needed = dependencies_of(resource) if self.dependents else set()
        if resource.urn in self.targets or needed & self._reached or any(urn in self.targets for urn in needed):
            self._reached.add(resource.urn)
            return True
        return False

    def registers(self, resource: Resource) -> bool:
        """The same for a registration: providers and the stack are always worked on."""
        return self.includes(resource) or resource.is_provider or resource.type == type_stack

    def doomed(self, resources: list[Resource]) -> set[str]:
        """URNs that may have to be deleted: the targets, and all that depends on them or lies below."""
        found: set[str] = set()
        for resource in resources:
            if not self.targets or resource.urn in self.targets or dependencies_of(resource) & found:
                found.add(resource.urn)
        return found
