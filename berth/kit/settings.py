"""Settings of a service: environment variables in, one validated object out.

A service declares a subclass of :class:`ServiceSettings` whose fields are its variables in lower case.  Any
field may come as ``NAME`` or from a file named by ``NAME_FILE``; secrets should come from files, because
``docker inspect`` shows variables.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

LogLevel = Literal["debug", "info", "warning", "error"]

secret_limit = 64 * 1024  # bytes; a longer file is not a setting


class SettingsError(Exception):
    """Settings are missing or wrong; the message lists every problem, one per line."""

    def __init__(self, service: str, problems: list[str]) -> None:
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        super().__init__(f"{service}: {count} in the environment:\n" + "\n".join(f"  {p}" for p in problems))


class ServiceSettings(BaseSettings):
    """Base of a service's settings: frozen, read with :meth:`load` from variables and ``NAME_FILE`` files."""

    # The input is left out of errors, since it may be a secret.
    model_config = SettingsConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True, env_file=None)

    log_level: LogLevel = "info"

    @property
    def levels(self) -> Mapping[str, LogLevel]:
        """Levels of single components, where a service has such a setting."""
        return {}

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], init_settings: PydanticBaseSettingsSource, *_: Any, **__: Any
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # Values come through load() alone, so that tests and services see the same rules.
        return (init_settings,)

    @classmethod
    def load(cls, service: str, environment: Mapping[str, str] | None = None) -> Self:
        """Validated settings from ``environment`` (default: this process's); SettingsError lists every problem."""
        variables = os.environ if environment is None else environment
        values: dict[str, str] = {}
        problems: list[str] = []
        for field in cls.model_fields:
            name = field.upper()
            # A variable set to nothing is one left out: that is how compose files and shells leave them.
            plain, file = variables.get(name, ""), variables.get(f"{name}_FILE", "")
            if plain and file:
                problems.append(f"{name} and {name}_FILE are both set: keep one of them")
            elif plain:
                values[field] = plain
            elif file:
                try:
                    values[field] = _read(Path(file))
                except (OSError, ValueError) as error:
                    problems.append(f"{name}_FILE is {file}, which cannot be read: {_reason(error)}")
                    values[field] = ""
        told = {line.split(" ", 1)[0].removesuffix("_FILE") for line in problems}
        try:
            settings = cls(**values)  # type: ignore[arg-type]  # pydantic parses the text
        except ValidationError as invalid:
            for problem in invalid.errors(include_url=False, include_context=False, include_input=False):
                # A rule over several settings has no location: its message names them.
                message = problem["msg"].removeprefix("Value error, ")
                if not problem["loc"]:
                    problems += message.split("\n")
                    continue
                field = str(problem["loc"][0])
                name = field.upper()
                if name in told:
                    continue
                if problem["type"] == "missing":
                    problems.append(f"{name} is not set (nor {name}_FILE)")
                elif cls._is_secret(field):
                    problems.append(f"{name}: {message}")
                else:
                    problems.append(f"{name} is {_shorten(values.get(field, ''))}: {message}")
        if problems:
            raise SettingsError(service, problems)
        return settings

    @classmethod
    def _is_secret(cls, field: str) -> bool:
        return "Secret" in str(cls.model_fields[field].annotation)


def _read(path: Path) -> str:
    with path.open("rb") as file:
        content = file.read(secret_limit + 1)
    if len(content) > secret_limit:
        raise ValueError(f"it is longer than {secret_limit} bytes")
    # The newline that editors and `echo` leave is not part of a secret.
    return content.decode().rstrip("\r\n")


def _reason(error: Exception) -> str:
    return error.strerror or type(error).__name__ if isinstance(error, OSError) else str(error)


def _shorten(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")
