"""Node packages of `contracts/`: the Solidity compiler, OpenZeppelin's contracts and Anvil."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from bootstrap.step import Context

FOLDER = Path("contracts")
STAMP = Path("node_modules") / "berth.stamp"


class NodePackages:
    """Runs `npm ci` with the npm that `.venv` brings, when the lock file changed since the last time."""

    name = "Node packages"

    def satisfied(self, context: Context) -> str | None:
        stamp = context.root / FOLDER / STAMP
        if not stamp.exists() or stamp.read_text() != wanted(context):
            return None
        return f"{FOLDER}/node_modules is current"

    def apply(self, context: Context) -> str:
        context.note("npm ci")
        # npm runs `node` by name, so the one beside it has to come first.
        path = os.pathsep.join([str(context.venv / "bin"), context.shell.environment.get("PATH", os.defpath)])
        context.shell.must(
            f"the packages of {FOLDER}/package-lock.json could not be installed",
            "check that npm reaches its registry (its settings: .venv/bin/npm config list), then try again",
            str(context.venv / "bin" / "npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error",
            cwd=context.root / FOLDER,
            extra={"PATH": path},
            limit=600,
        )  # fmt: skip
        (context.root / FOLDER / STAMP).write_text(wanted(context))
        return f"installed {FOLDER}/node_modules"


def wanted(context: Context) -> str:
    return hashlib.sha256((context.root / FOLDER / "package-lock.json").read_bytes()).hexdigest() + "\n"
