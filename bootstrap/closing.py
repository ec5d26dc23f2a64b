"""The last lines of `make up`: where the stack is, and what to do there."""

from __future__ import annotations

import json

from bootstrap.step import Context

LIMIT = 60.0
"""Seconds for the engine to tell the outputs."""


def closing(context: Context) -> str:
    """Two lines for people.  Secrets stay hidden: the engine is not asked for them."""
    done = context.shell.run(
        str(context.venv / "bin" / "pulumi"),
        *("stack", "output", "--json", "--non-interactive", "--stack", context.stack),
        limit=LIMIT,
    )
    try:
        url = str(json.loads(done.output)["url"])
    except (ValueError, KeyError, TypeError):
        return f"stack {context.stack} is up; `pulumi stack output` says where"
    flag = "" if context.stack == "dev" else f" STACK={context.stack}"
    return (
        f"stack {context.stack} is up: {url} is its page, {url}status how it is\n"
        f"next: press Connect there with a wallet that holds a pass, or see all of it happen: make demo{flag}"
    )
