"""Node packages: of `contracts/` (the Solidity compiler, OpenZeppelin's contracts, Anvil), and of `web/`."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from bootstrap.step import Context

STAMP = Path("node_modules") / "berth.stamp"


class NodePackages:
    """Runs `npm ci` with the npm that `.venv` brings, when the folder's lock file changed since the last time."""

    def __init__(self, folder: str = "contracts", name: str = "Node packages") -> None:
        self.folder = Path(folder)
        self.name = name

    def satisfied(self, context: Context) -> str | None:
        stamp = context.root / self.folder / STAMP
        if not stamp.exists() or stamp.read_text() != self._wanted(context):
            return None
        return f"{self.folder}/node_modules is current"

    def apply(self, context: Context) -> str:
        context.note("npm ci")
        # npm runs `node` by name, so the one beside it has to come first.
        path = os.pathsep.join([str(context.venv / "bin"), context.shell.environment.get("PATH", os.defpath)])
        context.shell.must(
            f"the packages of {self.folder}/package-lock.json could not be installed",
            "check that npm reaches its registry (its settings: .venv/bin/npm config list), then try again",
            str(context.venv / "bin" / "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error",
            cwd=context.root / self.folder,
            extra={"PATH": path},
            limit=600,
        )  # fmt: skip
        (context.root / self.folder / STAMP).write_text(self._wanted(context))
        return f"installed {self.folder}/node_modules"

    def _wanted(self, context: Context) -> str:
        return hashlib.sha256((context.root / self.folder / "package-lock.json").read_bytes()).hexdigest() + "\n"
