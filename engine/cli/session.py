"""Project, backend, stack and secrets of one command, and what it says and asks."""

from __future__ import annotations

import functools
import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from engine.backend.errors import Cancelled, ConfigurationError
from engine.backend.location import Location
from engine.backend.project import StackConfig, find_project
from engine.backend.secrets import PassphraseManager, passphrase_from_environment
from engine.backend.state import StateFile
from engine.cli.flags import Flags
from engine.model import PropertyMap, Secret
from engine.provider import ProviderError


class Session:
    """Stack, secrets and state are looked up when first asked for: a verb pays only for what it needs."""

    def __init__(self, flags: Flags) -> None:
        self.flags = flags
        self.secret_texts: set[str] = set()
        self.cwd = Path(flags.cwd or ".").resolve()
        if not self.cwd.is_dir():
            raise ConfigurationError(f"--cwd {flags.cwd}: there is no such directory")
        self.project = find_project(self.cwd)
        self.location = Location(self.project, self.cwd)
        self.phrase = functools.cache(lambda: passphrase_from_environment(self.interactive))

    @property
    def interactive(self) -> bool:
        return sys.stdin.isatty() and sys.stdout.isatty() and not (self.flags.non_interactive or os.environ.get("CI"))

    @property
    def color(self) -> bool:
        if self.flags.color == "auto":
            return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        return self.flags.color == "always"

    @functools.cached_property
    def stack(self) -> str:
        """The stack's short name.  Raises :class:`StackNotFound`."""
        return self.location.resolve(self.flags.stack)

    @functools.cached_property
    def config(self) -> StackConfig:
        return StackConfig(self.project, self.stack)

    @functools.cached_property
    def secrets(self) -> PassphraseManager:
        """By the salt in the stack's YAML, else the one in its state, else a new one (which the state then keeps).

        The YAML gets the salt with the first secret of the configuration: until then nothing in that file needs
        it, and a file under version control stays as it was committed.
        """
        if salt := self.config.salt or self._state(self.stack, None).salt():
            return PassphraseManager(salt, self.phrase)
        return PassphraseManager.new(self.phrase)

    def seal(self, text: str) -> str:
        """Encrypts a value for the stack's YAML, and sees to it that the salt stands there too."""
        sealed = self.secrets.encrypt(text)
        self.keep_salt()
        return sealed

    def keep_salt(self) -> None:
        """Has the stack's YAML name the salt, which is where Pulumi's CLI looks for it."""
        if not self.config.salt:
            self.config.set_salt(self.secrets.salt_state)

    @functools.cached_property
    def state(self) -> StateFile:
        return self._state(self.stack, self.secrets)

    def raw(self) -> dict[str, Any]:
        """The stack's deployment as its file has it; needs no passphrase."""
        return self._state(self.stack, None).raw()

    def _state(self, stack: str, secrets: PassphraseManager | None, project: str = "") -> StateFile:
        name = f"organization/{project or self.project.name}/{stack}"
        return StateFile(self.location.stack_file(stack, project), name, secrets)

    def program_config(self) -> dict[str, str | Secret]:
        """Keeps what was a secret in :attr:`secret_texts`."""

        def decrypt(sealed: str) -> str:
            self.secret_texts.add(text := self.secrets.decrypt(sealed))
            return text

        return self.config.decrypted(decrypt)

    def stack_outputs(self, name: str) -> PropertyMap:
        """Of another stack on this backend: ``<stack>`` or ``organization/<project>/<stack>``."""
        parts = name.split("/")
        project = parts[1] if len(parts) == 3 else self.project.name
        state = self._state(parts[-1], self.secrets, project)
        if len(parts) > 3 or (len(parts) > 1 and parts[0] != "organization") or not state.path.exists():
            raise ProviderError(f'unknown stack "{name}": this backend has no {state.stack}')
        stack = state.load().stack()
        return stack.outputs if stack is not None else {}

    def approve(self, question: str, declined: str, details: Callable[[], None] | None = None) -> None:
        """Go on if ``--yes`` was given or is the answer.

        Raises :class:`Cancelled` for a no, :class:`ConfigurationError` where nobody can be asked.
        """
        answers = ("yes", "no", "details") if details else ("yes", "no")
        while not self.flags.yes:
            if not self.interactive:
                raise ConfigurationError("--yes must be passed in to proceed when running in non-interactive mode")
            try:
                given = input(f"{question} [{'/'.join(answers)}] ").strip().lower()
            except EOFError as error:
                raise Cancelled("no answer, nothing was done") from error
            match [name for name in answers if given and name.startswith(given)]:
                case ["yes"]:
                    return
                case ["no"]:
                    raise Cancelled(f"confirmation declined, {declined}")
                case ["details"] if details:
                    details()


def say(text: str = "", *, error: bool = False) -> None:
    """A line for the person at the keyboard."""
    click.echo(text, err=error)


def as_json(value: Any, indent: int = 2) -> str:
    """A document for other programs."""
    return json.dumps(value, indent=indent, ensure_ascii=False)


def table(rows: Iterable[tuple[str, ...]], indent: str = "") -> None:
    """Rows in columns as wide as they need."""
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        say(indent + "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())
