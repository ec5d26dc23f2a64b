"""The stack and the passphrase that encrypts its secrets."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path

from bootstrap.errors import SetupError
from bootstrap.step import Context

PASSPHRASE_VARIABLES = ("PULUMI_CONFIG_PASSPHRASE", "PULUMI_CONFIG_PASSPHRASE_FILE")
SALT = re.compile(r"^encryptionsalt:.*\n?", re.MULTILINE)
SECURE = re.compile(r"^\s+secure:", re.MULTILINE)
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_-]{0,39}")


class Stack:
    """Makes the passphrase (unless one is set) and runs `pulumi stack init` when the stack is missing."""

    name = "stack"

    def satisfied(self, context: Context) -> str | None:
        check_name(context)
        if not own_passphrase(context) and not passphrase(context).exists():
            return None
        return f"{context.stack} is there" if exists(context) else None

    def apply(self, context: Context) -> str:
        made = "" if own_passphrase(context) or passphrase(context).exists() else self._make_passphrase(context)
        if exists(context):
            return made
        # Without its file a stack would be one of defaults: who mistypes a name does not want another environment.
        if not config_file(context).exists():
            raise SetupError(
                f"there is no {config_file(context).relative_to(context.root)}, so {context.stack} has no settings",
                "name another stack (make up STACK=dev), or copy the file of one",
            )
        context.note(f"pulumi stack init {context.stack}")
        context.shell.must(
            f"stack {context.stack} could not be made",
            "see what the engine says; its passphrase is PULUMI_CONFIG_PASSPHRASE(_FILE), else .berth/passphrase",
            str(context.venv / "bin" / "pulumi"), "stack", "init", context.stack, "--non-interactive",
            limit=120,
        )  # fmt: skip
        return ", ".join(filter(None, [made, f"made {context.stack}"]))

    def _make_passphrase(self, context: Context) -> str:
        forgot = self._forget_foreign_salt(context)
        file = passphrase(context)
        file.parent.mkdir(exist_ok=True)
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as stream:
            stream.write(secrets.token_urlsafe(32) + "\n")
        return f"{forgot}made .berth/passphrase (keep it: it decrypts this machine's stacks)"

    def _forget_foreign_salt(self, context: Context) -> str:
        """Drop the mark of another machine's passphrase from settings in which nothing is encrypted."""
        settings = config_file(context)
        text = settings.read_text() if settings.exists() else ""
        state = exists(context)
        if state or (SALT.search(text) and SECURE.search(text)):
            what = f"the state of {context.stack}" if state else str(settings.relative_to(context.root))
            raise SetupError(
                f"{what} is encrypted with a passphrase that this checkout does not have",
                "set PULUMI_CONFIG_PASSPHRASE or PULUMI_CONFIG_PASSPHRASE_FILE to it, then try again",
            )
        if not SALT.search(text):
            return ""
        settings.write_text(SALT.sub("", text))
        return "dropped the encryptionsalt of another machine, "


def check_name(context: Context) -> None:
    """SetupError unless the stack's name is one; what is removed by name relies on it as well."""
    if not NAME.fullmatch(context.stack):
        raise SetupError(
            f"{context.stack!r} is no stack name", "use letters, digits, - and _ (make up STACK=dev), at most 40"
        )


def own_passphrase(context: Context) -> bool:
    """Whether the user brings a passphrase."""
    return any(name in context.shell.environment for name in PASSPHRASE_VARIABLES)


def passphrase(context: Context) -> Path:
    return context.home / "passphrase"


def config_file(context: Context) -> Path:
    return context.root / "stacks" / f"Pulumi.{context.stack}.yaml"


def project(context: Context) -> str:
    """The project's name, from Pulumi.yaml."""
    file = context.root / "Pulumi.yaml"
    found = re.search(r"^name:\s*[\"']?([\w.-]+)", file.read_text() if file.exists() else "", re.MULTILINE)
    if found is None:
        raise SetupError(f"{file.name} is missing or names no project", "run make from the project's own checkout")
    return found.group(1)


def exists(context: Context) -> bool:
    """Whether the stack is there: by its file in the project's own backend, else by asking the engine."""
    if not context.shell.environment.get("PULUMI_BACKEND_URL"):
        folder = context.root / ".pulumi" / "stacks" / project(context)
        return any((folder / f"{context.stack}.json{suffix}").exists() for suffix in ("", ".gz"))
    command = str(context.venv / "bin" / "pulumi")
    return context.shell.run(
        command, "stack", "output", "--json", "--stack", context.stack, "--non-interactive", limit=60
    ).ok
