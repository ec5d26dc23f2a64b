"""What one operation is told, and what it gives back."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from engine.events import Emit
from engine.model import PropertyMap, Secret, Snapshot

if TYPE_CHECKING:
    from engine.deploy.plan import Plan

Verb = Literal["update", "preview", "refresh", "destroy"]


@dataclass(frozen=True)
class Program:
    """What to run; ``main`` is the directory or the file of ``__main__.py``.

    ``python`` is the interpreter of the program and of the dynamic providers; ``runtime_options`` are the
    project file's ``runtime.options``.
    """

    project: str
    stack: str
    organization: str
    root: Path
    main: Path
    python: Path
    runtime_options: dict[str, str] = field(default_factory=dict)

    @property
    def directory(self) -> Path:
        """Where the program and its providers run, and what they import first."""
        return self.main if self.main.is_dir() else self.main.parent


@dataclass(frozen=True)
class PolicyPack:
    """Where a pack and the file of its settings (or "") are, as they were given."""

    path: str
    config: str = ""


@dataclass(frozen=True)
class Options:
    """``refresh``: refresh first (in a preview too); ``parallel``: steps at the same time.

    ``dry_run`` makes a preview of a refresh or a destroy.  ``stack_outputs`` gives another stack's outputs by
    its full name (for StackReference) and raises :class:`engine.provider.ProviderError`.  ``debug`` lets the
    SDK's own debug messages through.  ``targets`` and ``replace`` are URNs, with wildcards.  ``planning`` makes a
    plan (of a preview), ``plan`` is one that the operation is held to.
    """

    verb: Verb
    refresh: bool = False
    parallel: int = 16
    dry_run: bool = False
    debug: bool = False
    stack_outputs: Callable[[str], PropertyMap] | None = None
    policy_packs: tuple[PolicyPack, ...] = ()
    targets: tuple[str, ...] = ()
    target_dependents: bool = False
    replace: tuple[str, ...] = ()
    planning: bool = False
    plan: Plan | None = None

    @property
    def preview(self) -> bool:
        return self.dry_run or self.verb == "preview"


@dataclass(frozen=True)
class Job:
    """What every part of an operation may have to know."""

    program: Program
    config: dict[str, str | Secret]
    options: Options
    emit: Emit

    @property
    def names(self) -> dict[str, Any]:
        program = self.program
        return {"project": program.project, "stack": program.stack, "organization": program.organization}

    @property
    def plain_config(self) -> dict[str, str]:
        return {key: value.value if isinstance(value, Secret) else value for key, value in self.config.items()}

    @property
    def secret_keys(self) -> list[str]:
        return [key for key, value in self.config.items() if isinstance(value, Secret)]


@dataclass(frozen=True)
class Result:
    """The state afterwards (of a preview: as it would be), and steps counted by operation."""

    snapshot: Snapshot
    changes: dict[str, int]
    plan: Plan | None = None


class DeploymentFailed(Exception):
    """The operation did not succeed; why was already reported through events.

    The state at that moment has been given to ``save``; ``result`` holds it too.
    """

    def __init__(self, message: str, result: Result) -> None:
        super().__init__(message)
        self.result = result
