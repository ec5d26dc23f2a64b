"""Commands run by set-up: their time limits, their output, and root where it is needed."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bootstrap.errors import SetupError

HEAD_LINES = 5
TAIL_LINES = 15


@dataclass(frozen=True)
class Outcome:
    """What a command came to: its exit code and its output (both streams, in order)."""

    code: int
    output: str

    @property
    def ok(self) -> bool:
        return self.code == 0

    @property
    def excerpt(self) -> str:
        """The first and the last lines, which is where commands say why they failed."""
        lines = self.output.strip().splitlines()
        if len(lines) > HEAD_LINES + TAIL_LINES:
            lines = [*lines[:HEAD_LINES], "...", *lines[-TAIL_LINES:]]
        return "\n".join(lines)


class Shell:
    """Runs commands with `environment`, in `root`. Tests put a fake in its place."""

    def __init__(self, root: Path, environment: Mapping[str, str]) -> None:
        self.root = root
        self.environment = dict(environment)

    def run(
        self,
        *command: str,
        limit: float | None = None,
        cwd: Path | None = None,
        extra: Mapping[str, str] | None = None,
    ) -> Outcome:
        """Run a command to its end, at most `limit` seconds (then its exit code is 124)."""
        try:
            done = subprocess.run(
                command,
                cwd=cwd or self.root,
                env={**self.environment, **(extra or {})},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                timeout=limit,
                text=True,
                errors="replace",
                check=False,
            )
        except subprocess.TimeoutExpired as expired:
            said = expired.stdout.decode(errors="replace") if isinstance(expired.stdout, bytes) else ""
            return Outcome(124, f"{said}\nno answer within {limit:g} s")
        except OSError as error:
            return Outcome(127, f"{command[0]}: {error.strerror}")
        return Outcome(done.returncode, done.stdout)

    def run_once_heard(self, *command: str, first: float, limit: float, cue: str = "") -> Outcome:
        """Run a command that must show a sign of life (a line holding `cue`) within `first` seconds.

        Commands that talk to a host that does not answer hang; this tells them from those that
        are busy with a long download, which get `limit` seconds.
        """
        try:
            process = subprocess.Popen(
                command,
                cwd=self.root,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except OSError as error:
            return Outcome(127, f"{command[0]}: {error.strerror}")
        lines: list[str] = []
        heard = threading.Event()
        stream = process.stdout
        assert stream is not None

        def listen() -> None:
            for line in stream:
                lines.append(line)
                if cue in line:
                    heard.set()
            heard.set()

        listener = threading.Thread(target=listen, daemon=True)
        listener.start()
        try:
            if not heard.wait(first):
                process.kill()
                lines.append(f"no answer within {first:g} s\n")
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            lines.append(f"not done within {limit:g} s\n")
        listener.join(1)
        return Outcome(process.returncode, "".join(lines))

    def spawn(self, *command: str, log: Path) -> None:
        """Start a command that outlives set-up, its output going to `log`."""
        with log.open("ab") as output:
            subprocess.Popen(
                command,
                cwd="/",
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def which(self, name: str) -> str | None:
        return shutil.which(name, path=self._path())

    def every(self, name: str, but: Path | None = None) -> list[str]:
        """Each executable called `name` on PATH (`but` in that folder), first come first, no file twice."""
        found: dict[str, str] = {}
        for folder in self._path().split(os.pathsep):
            path = shutil.which(name, path=folder) if folder and folder != str(but) else None
            if path:
                found.setdefault(os.path.realpath(path), path)
        return list(found.values())

    def _path(self) -> str:
        # /usr/sbin is where daemons live and is missing from many people's PATH.
        return os.pathsep.join([self.environment.get("PATH", os.defpath), "/usr/local/sbin", "/usr/sbin", "/sbin"])

    @property
    def is_root(self) -> bool:
        return os.geteuid() == 0

    def as_root(self, *command: str) -> tuple[str, ...]:
        """The command as it has to be called to run as root.

        Raises:
            SetupError: when there is no way to become root without asking for a password.
        """
        if self.is_root:
            return command
        if self.which("sudo") and self.run("sudo", "-n", "true", limit=5).ok:
            return ("sudo", "-n", *command)
        raise SetupError(
            f"root is needed to run: {' '.join(command)}",
            "run that command as root yourself, or run make as root (or with passwordless sudo), then try again",
        )

    def must(self, what: str, todo: str, *command: str, **options: object) -> Outcome:
        """Run a command whose failure ends the step."""
        outcome = self.run(*command, **options)  # type: ignore[arg-type]
        if not outcome.ok:
            raise SetupError(f"{what} ({' '.join(shorten(command))}: exit {outcome.code})", todo, outcome.excerpt)
        return outcome


def shorten(command: Sequence[str], words: int = 6) -> list[str]:
    """A command short enough for a message."""
    return [*command[:words], "..."] if len(command) > words else list(command)
