"""What a deployed stack says of itself: its outputs, as the engine gives them."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from berth.cli.terminal import CommandError

root: Final = Path(__file__).resolve().parents[2]
_limit: Final = 60.0  # seconds
Url = Annotated[
    str, typer.Option("--url", envvar="BERTH_URL", help="The stack's gateway; else the output `url` of the stack.")
]
StackName = Annotated[
    str, typer.Option("--stack", "-s", envvar="STACK", help="Stack of this checkout, where --url is not given.")
]


def outputs(stack: str) -> Mapping[str, Any]:
    """The outputs of a stack of this checkout, secrets included; CommandError where it is not up."""
    command = root / ".venv" / "bin" / "pulumi"
    if not command.exists():
        raise CommandError(f"{command} is not there: run `make setup` in {root}, or name what is needed by options")
    try:
        done = subprocess.run(
            [command, "stack", "output", "--json", "--show-secrets", "--stack", stack, "--non-interactive"],
            cwd=root,
            env={**os.environ, "PULUMI_SKIP_UPDATE_CHECK": "true"},
            text=True,
            capture_output=True,
            check=False,
            timeout=_limit,
        )
    except subprocess.TimeoutExpired:
        raise CommandError(f"the engine did not tell the outputs of stack {stack} within {_limit:g} s") from None
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or ["it does not say why"]
        raise CommandError(f"the outputs of stack {stack} cannot be read: {reason[0]}. Is it up (`make up`)?")
    try:
        found = json.loads(done.stdout or "{}")
    except ValueError:
        found = None
    if not isinstance(found, dict) or not found:
        raise CommandError(f"stack {stack} has no outputs: run `make up` first")
    return found


def output(found: Mapping[str, Any], name: str, stack: str) -> Any:
    """One output; CommandError where the stack has none of that name."""
    if name not in found:
        raise CommandError(f"stack {stack} has no output {name}: run `make up` to bring it to this version")
    return found[name]
