"""Project, backend, stack and secrets of one command."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path

import click

from engine.backend.errors import Cancelled, ConfigurationError
from engine.backend.location import Location
from engine.backend.project import Project, StackConfig, find_project
from engine.backend.secrets import PassphraseManager, passphrase_from_environment
from engine.backend.state import StateFile
from engine.cli.flags import Flags
from engine.model import PropertyMap, Secret
from engine.provider import ProviderError


class Session:
    """Everything is looked up when first asked for, so that a verb pays only for what it needs."""

    def __init__(self, flags: Flags) -> None:
        self.flags = flags
        self.secret_texts: set[str] = set()
        self.cwd = Path(flags.cwd or ".").resolve()
        if not self.cwd.is_dir():
            raise ConfigurationError(f"--cwd {flags.cwd}: there is no such directory")

    @property
    def interactive(self) -> bool:
        return (
            not self.flags.non_interactive and not os.environ.get("CI") and sys.stdin.isatty() and sys.stdout.isatty()
        )

    @property
    def color(self) -> bool:
        if self.flags.color == "auto":
            return sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"
        return self.flags.color == "always"

    @functools.cached_property
    def project(self) -> Project:
        return find_project(self.cwd)

    @functools.cached_property
    def location(self) -> Location:
        return Location(self.project, self.cwd)

    @functools.cached_property
    def stack(self) -> str:
        """The stack's short name.  Raises :class:`StackNotFound`."""
        return self.location.resolve(self.flags.stack)

    @property
    def qualified(self) -> str:
        return f"organization/{self.project.name}/{self.stack}"

    @functools.cached_property
    def config(self) -> StackConfig:
        return StackConfig(self.project, self.stack)

    @functools.cached_property
    def phrase(self) -> str:
        return passphrase_from_environment(self.interactive)

    @functools.cached_property
    def secrets(self) -> PassphraseManager:
        """By the salt in the stack's YAML, else the one in its state, else a new one (which the state then keeps).

        The YAML gets the salt with the first secret of the configuration: until then nothing in that file needs
        it, and a file under version control stays as it was committed.
        """
        if salt := self.config.salt or StateFile(self.location.stack_file(self.stack), self.qualified, None).salt():
            return PassphraseManager(salt, lambda: self.phrase)
        return PassphraseManager.new(lambda: self.phrase)

    def seal(self, text: str) -> str:
        """Encrypts a value for the stack's YAML, and sees to it that the salt stands there too."""
        sealed = self.secrets.encrypt(text)
        if not self.config.salt:
            self.config.set_salt(self.secrets.salt_state)
        return sealed

    @functools.cached_property
    def state(self) -> StateFile:
        return StateFile(self.location.stack_file(self.stack), self.qualified, self.secrets)

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
        path = self.location.stack_file(parts[-1], project)
        if len(parts) > 3 or (len(parts) > 1 and parts[0] != "organization") or not path.exists():
            raise ProviderError(f'unknown stack "{name}": this backend has no organization/{project}/{parts[-1]}')
        stack = StateFile(path, f"organization/{project}/{parts[-1]}", self.secrets).load().stack()
        return stack.outputs if stack is not None else {}

    def confirm(self, question: str, answers: tuple[str, ...] = ("yes", "no")) -> str:
        """One of ``answers``.  Raises :class:`ConfigurationError` where nobody can be asked."""
        if not self.interactive:
            raise ConfigurationError("--yes must be passed in to proceed when running in non-interactive mode")
        while True:
            try:
                answer = input(f"{question} [{'/'.join(answers)}] ").strip().lower()
            except EOFError as error:
                raise Cancelled("no answer, nothing was done") from error
            match = [name for name in answers if answer and name.startswith(answer)]
            if len(match) == 1:
                return match[0]


def say(text: str = "", *, error: bool = False) -> None:
    """A line for the person at the keyboard."""
    click.echo(text, err=error)
