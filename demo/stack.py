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


class Excerpt:
    """What of a make target's output belongs into the story.

    Not set-up that found all in place, the long list of outputs, nor the nodes' part of a diff: it says twice for each
    node, as found and as wanted, that there is another digest.  Passes by name are the list's part.
    """

    def __init__(self) -> None:
        self._above: int | None = None

    def shows(self, line: str) -> bool:
        """Whether to show the next line; what is indented below one that is left out is left out as well."""
        words = line.strip()
        depth = len(line) - len(line.lstrip(" "))
        if self._above is not None and (not words or depth > self._above):
            return False
        out = words.startswith(("set-up", "Outputs:", "stack ", "next: ")) or "NodePeers: (" in words
        self._above = depth if out else None
        return bool(words) and not out


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
            excerpt = Excerpt()
            for line in process.stdout:
                lines.append(line)
                if excerpt.shows(line):
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
