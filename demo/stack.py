"""The deployed stack, used as a person would: through ``make`` and the stack's outputs."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

root = Path(__file__).resolve().parent.parent


class StackError(Exception):
    """A make target failed, or the stack is not up; the message says what to do."""


def _skipped(line: str, before: bool) -> bool:
    """Whether to leave a line out of the story: set-up that found all in place, outputs, what to do next."""
    if line.startswith(("set-up", "Outputs:", "stack ", "next: ")):
        return True
    return before and line.startswith((" ", "\n"))


@dataclass(frozen=True)
class Stack:
    """One environment, by name: ``dev`` unless ``STACK`` says otherwise."""

    name: str = os.environ.get("STACK", "dev")

    def outputs(self) -> dict[str, Any]:
        """The stack's outputs; StackError when it has never been brought up."""
        done = self._pulumi("stack", "output", "--json", "--show-secrets")
        if done.returncode != 0:
            raise StackError(f"stack {self.name} is not there ({done.stderr.strip()}): run `make up` first")
        outputs: dict[str, Any] = json.loads(done.stdout or "{}")
        if not outputs:
            raise StackError(f"stack {self.name} has no outputs: run `make up` first")
        return outputs

    def make(self, target: str) -> str:
        """Runs a make target, showing the part that matters here, and returns all; StackError when it fails."""
        lines = []
        with subprocess.Popen(
            ["make", "--no-print-directory", target, f"STACK={self.name}"],
            cwd=root,
            text=True,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        ) as process:
            assert process.stdout is not None
            skipped = False
            for line in process.stdout:
                lines.append(line)
                skipped = _skipped(line, skipped)
                if not skipped and line.strip():
                    print("    " + line, end="", flush=True)
        if process.returncode != 0:
            raise StackError(f"`make {target}` ended with {process.returncode}; it said:\n{''.join(lines)}")
        return "".join(lines)

    def _pulumi(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [root / ".venv/bin/pulumi", *arguments, "--stack", self.name, "--non-interactive"],
            cwd=root,
            text=True,
            capture_output=True,
            check=False,
        )
