"""A shell that answers from a script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from bootstrap.shell import Outcome, Shell

Answer = Outcome | Callable[[tuple[str, ...]], Outcome]


class FakeShell(Shell):
    """Answers a command by the first rule whose words all occur in it; records every command."""

    def __init__(self, root: Path, environment: Mapping[str, str], programs: Mapping[str, list[str]]) -> None:
        super().__init__(root, environment)
        self.programs = {name: list(paths) for name, paths in programs.items()}
        self.rules: list[tuple[tuple[str, ...], Answer]] = []
        self.ran: list[str] = []
        self.root_user = True
        self.spawned: list[str] = []

    def when(self, *words: str, answer: Answer) -> None:
        self.rules.insert(0, (words, answer))

    def _answer(self, command: tuple[str, ...]) -> Outcome:
        line = " ".join(command)
        self.ran.append(line)
        for words, answer in self.rules:
            if all(word in line for word in words):
                return answer(command) if callable(answer) else answer
        return Outcome(0, "")

    def run(self, *command: str, **options: object) -> Outcome:  # type: ignore[override]
        return self._answer(command)

    def run_once_heard(self, *command: str, **options: object) -> Outcome:  # type: ignore[override]
        return self._answer(command)

    def spawn(self, *command: str, log: Path) -> None:
        self.spawned.append(" ".join(command))

    def every(self, name: str, but: Path | None = None) -> list[str]:
        return [path for path in self.programs.get(name, []) if Path(path).parent != but]

    def which(self, name: str) -> str | None:
        return next(iter(self.every(name)), None)

    @property
    def is_root(self) -> bool:
        return self.root_user

    def did(self, *words: str) -> list[str]:
        """The commands that ran and hold all of these words."""
        return [line for line in self.ran if all(word in line for word in words)]
