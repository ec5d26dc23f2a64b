"""Where the state of a project lives, and which stack is selected.

The selection is kept where Pulumi's CLI keeps it (``~/.pulumi/workspaces``, or under ``PULUMI_HOME``), so that
either engine sees what the other chose.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from contextlib import suppress
from itertools import chain
from pathlib import Path
from typing import Any

from engine.backend.errors import ConfigurationError, EngineError, StackNotFound
from engine.backend.files import write_atomic
from engine.backend.project import Project


class Location:
    """A ``file://`` backend; ``root`` is its ``.pulumi`` directory."""

    def __init__(self, project: Project, cwd: Path) -> None:
        from_environment = os.environ.get("PULUMI_BACKEND_URL")
        self.project = project
        self.url = from_environment or project.backend_url
        if not self.url:
            raise ConfigurationError(
                f"no backend is set: write `backend: {{url: 'file://.'}}` into {project.path} or set PULUMI_BACKEND_URL"
            )
        if not self.url.startswith("file://"):
            raise ConfigurationError(
                f"backend '{self.url}' is not supported: the embedded engine keeps state in file:// only"
            )
        folder = Path(self.url.removeprefix("file://") or "/").expanduser()
        self.root = ((cwd if from_environment else project.root) / folder).resolve() / ".pulumi"

    def ensure(self) -> None:
        """Make the backend if it is new.  Raises :class:`ConfigurationError` for a layout that we do not know."""
        meta = self.root / "meta.yaml"
        if not meta.exists():
            write_atomic(meta, "version: 1\n", mode=0o644)
        elif meta.read_text(encoding="utf-8").strip() != "version: 1":
            raise ConfigurationError(
                f"{meta}: this backend's layout is not version 1: upgrade it with Pulumi's CLI first"
            )

    def stack_file(self, stack: str, project: str = "") -> Path:
        return self.root / "stacks" / (project or self.project.name) / f"{stack}.json"

    def folder(self, kind: str, stack: str) -> Path:
        """Where a stack's ``history``, ``backups`` or ``locks/organization`` are."""
        return self.root / kind / self.project.name / stack

    def locks(self, stack: str) -> Path:
        return self.folder("locks/organization", stack)

    def sweep(self, stack: str) -> None:
        """Clear away what a killed process had half written; call it with the stack's lock held."""
        inside = [self.folder(kind, stack).glob(".*") for kind in ("history", "backups", "locks/organization")]
        for path in chain(self.stack_file(stack).parent.glob(f".{stack}.json.*"), *inside):
            with suppress(OSError):  # a read-only disk keeps them, and they are in nobody's way
                path.unlink()

    def stacks(self) -> list[str]:
        """Names of this project's stacks."""
        return sorted(path.stem for path in self.stack_file("x").parent.glob("*.json") if not path.name.startswith("."))

    def short_name(self, reference: str) -> str:
        """``dev`` of ``organization/<project>/dev``.  Raises :class:`ConfigurationError`."""
        parts = reference.split("/")
        name = parts[-1]
        if len(parts) > 3 or (len(parts) > 1 and parts[0] != "organization"):
            raise ConfigurationError(
                f"'{reference}' is not a stack of this backend: write organization/<project>/<stack>"
            )
        if len(parts) == 3 and parts[1] != self.project.name:
            raise ConfigurationError(f"stack '{reference}' belongs to another project than {self.project.path}")
        if not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name):
            raise ConfigurationError(f"'{name}' is not a stack name: use 1 to 100 letters, digits, '-', '_' and '.'")
        return name

    def resolve(self, wanted: str | None) -> str:
        """The stack to work on: ``wanted``, else ``PULUMI_STACK``, else the selected one.

        Raises :class:`StackNotFound` when there is none, or it does not exist.
        """
        reference = wanted or os.environ.get("PULUMI_STACK") or self.selected()
        if not reference:
            raise StackNotFound("no stack selected; specify one with --stack, or run `pulumi stack select` or `init`")
        name = self.short_name(reference)
        if not self.stack_file(name).exists():
            compressed = next((p for e in ("gz", "zst") if (p := Path(f"{self.stack_file(name)}.{e}")).exists()), None)
            if compressed:
                raise ConfigurationError(
                    f"{compressed}: compressed state is not supported here: export it with Pulumi's CLI"
                )
            known = ", ".join(self.stacks()) or "none"
            raise StackNotFound(
                f"no stack named '{name}' found (there are: {known}); make it with `pulumi stack init {name}`"
            )
        return name

    @property
    def _workspace(self) -> Path:
        home = Path(os.environ.get("PULUMI_HOME") or Path.home() / ".pulumi")
        digest = hashlib.sha1(str(self.project.path).encode(), usedforsecurity=False).hexdigest()
        return home / "workspaces" / f"{self.project.name}-{digest}-workspace.json"

    def _settings(self) -> dict[str, Any]:
        try:
            data = json.loads(self._workspace.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (ValueError, OSError) as error:
            raise EngineError(
                f"cannot read {self._workspace} ({error}): select the stack again after removing it"
            ) from error
        return data if isinstance(data, dict) else {}

    def selected(self) -> str | None:
        settings = self._settings()
        return (settings.get("stacks") or {}).get(self.url) or settings.get("stack")

    def select(self, stack: str | None) -> None:
        """Remember ``stack`` (None: forget the selection)."""
        settings = self._settings()
        settings.pop("stack", None)
        stacks = dict(settings.get("stacks") or {})
        stacks.pop(self.url, None)
        if stack:
            stacks[self.url] = f"organization/{self.project.name}/{stack}"
        write_atomic(self._workspace, json.dumps(settings | {"stacks": stacks}, indent=4))
