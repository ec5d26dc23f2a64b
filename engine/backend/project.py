"""``Pulumi.yaml`` and ``Pulumi.<stack>.yaml``: what the project is, and a stack's configuration."""

from __future__ import annotations

import copy
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.backend import yamlfile
from engine.backend.errors import ConfigurationError
from engine.backend.files import write_atomic
from engine.model import Secret, contains

Path_ = list[str | int]
_types = {"string": str, "integer": int, "boolean": bool, "array": list, "object": dict}


class Project:
    """A project file, checked as far as the engine needs it.  Raises :class:`ConfigurationError`."""

    def __init__(self, path: Path) -> None:
        self.path, self.root, data = path, path.parent, yamlfile.load(path)
        name, runtime, config = data.get("name"), data.get("runtime", ""), data.get("config")
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]{1,100}", name):
            raise ConfigurationError(f"{path}: 'name' must be 1 to 100 letters, digits, '-', '_' or '.', not {name!r}")
        self.name = name
        kind, options = (runtime.get("name"), runtime.get("options")) if isinstance(runtime, dict) else (runtime, None)
        if kind != "python":
            raise ConfigurationError(f"{path}: runtime {kind!r} is not supported: only 'python' is run here")
        self.options: dict[str, Any] = options or {}  # runtime.options
        if (tool := self.options.get("toolchain", "pip")) != "pip":
            raise ConfigurationError(f"{path}: runtime.options.toolchain {tool!r} is not supported here, only 'pip'")
        self.config: dict[str, Any] = config if isinstance(config, dict) else {}
        self.main = str(data.get("main") or "")
        self.stack_config_dir = str(data.get("stackConfigDir") or (config if isinstance(config, str) else ""))
        self.backend_url = str((data.get("backend") or {}).get("url") or "")

    @property
    def python(self) -> Path:
        """The interpreter of ``runtime.options.virtualenv``, else our own."""
        if venv := self.options.get("virtualenv"):
            python = self.root / str(venv) / "bin" / "python"
            if not python.exists():
                raise ConfigurationError(
                    f"{self.path}: runtime.options.virtualenv is '{venv}', but {python} does not exist: create it with "
                    f"`python3 -m venv {self.root / str(venv)}` and install the program's requirements into it"
                )
            return python
        return Path(sys.executable)


def find_project(directory: Path) -> Project:
    """The project file of ``directory`` or the nearest one above it.  Raises :class:`ConfigurationError`."""
    for folder in (directory.resolve(), *directory.resolve().parents):
        for name in ("Pulumi.yaml", "Pulumi.yml"):
            if (folder / name).is_file():
                return Project(folder / name)
    raise ConfigurationError(f"no Pulumi.yaml project file found (searching upwards from {directory.resolve()})")


class StackConfig:
    """``Pulumi.<stack>.yaml``.  Values stay encrypted here; keys are full (``"berth:chain"``)."""

    def __init__(self, project: Project, stack: str) -> None:
        self.path = project.root / project.stack_config_dir / f"Pulumi.{stack}.yaml"
        self.project, self.stack = project, stack
        self._data = yamlfile.load(self.path) if self.path.exists() else {}
        provider = self._data.get("secretsprovider")
        if provider not in (None, "", "passphrase", "default"):
            raise ConfigurationError(f"{self.path}: secretsprovider '{provider}' is not supported, only 'passphrase'")
        if self._data.get("environment"):
            raise ConfigurationError(f"{self.path}: 'environment' (Pulumi ESC) is not supported by the embedded engine")
        self.values: dict[str, Any] = self._data.get("config") or {}
        if not isinstance(self.values, dict):
            raise ConfigurationError(f"{self.path}: 'config' must be a mapping of keys to values")
        for key in self.values:
            self._checked(str(key))

    def full_key(self, key: str) -> str:
        """``key`` with the project's namespace when it has none."""
        return self._checked(key if ":" in key else f"{self.project.name}:{key}")

    def _checked(self, key: str) -> str:
        parts = key.split(":")
        if len(parts) == 3 and parts[1] == "config":  # Pulumi's older spelling
            parts = [parts[0], parts[2]]
        if len(parts) != 2 or not all(parts):
            raise ConfigurationError(f"{self.path}: '{key}' is not a configuration key: write <namespace>:<name>")
        return ":".join(parts)

    @property
    def salt(self) -> str:
        return str(self._data.get("encryptionsalt") or "")

    def set_salt(self, salt: str) -> None:
        self._data["encryptionsalt"] = salt
        self._write()

    def merged(self) -> dict[str, Any]:
        """The stack's values over the project's defaults.

        Raises :class:`ConfigurationError` for a value that the project demands or types otherwise.
        """
        result: dict[str, Any] = {}
        for key, declared in self.project.config.items():
            full, entry = self.full_key(str(key)), declared if isinstance(declared, dict) else {"value": declared}
            default = entry.get("value", entry.get("default"))
            if full not in self.values and default is None:
                raise ConfigurationError(
                    f"stack '{self.stack}' is missing configuration value '{key}': "
                    f"set it with `pulumi config set {key} <value>`"
                )
            value = self.values.get(full, default)
            wanted = _types.get(str(entry.get("type", "")), object)
            may_be_text = is_secure(value) or (wanted in (int, bool) and isinstance(value, str))
            if not (isinstance(value, wanted) or may_be_text):
                raise ConfigurationError(f"configuration value '{key}' must be of type {entry['type']}, not {value!r}")
            result[full] = value
        return result | {self._checked(str(key)): value for key, value in self.values.items()}

    def decrypted(self, decrypt: Callable[[str], str]) -> dict[str, str | Secret]:
        """All values as a program gets them: text, objects as JSON; a Secret when any part of it was encrypted."""
        values = sorted(self.merged().items())
        opened = {key: as_text(open_secure(value, decrypt)) for key, value in values}
        return {key: Secret(opened[key]) if has_secure(value) else opened[key] for key, value in values}

    def get(self, path: list[Any]) -> Any:
        """The value at ``path`` (full key first), or LookupError."""
        value: Any = self.merged()
        for step in path:
            if not isinstance(value, _kind(step)):
                raise KeyError(step)
            value = value[step]
        return value

    def set(self, path: Path_, value: Any) -> None:
        """Set the value at ``path``, making maps and lists on the way, and write the file."""
        first, *rest = path
        old = self.values.get(str(first))
        self.values[str(first)] = _placed(old if isinstance(old, dict | list) else None, path, rest, value)
        self._write()

    def remove(self, path: Path_) -> None:
        """Remove what is at ``path``, if it is there, and write the file."""
        try:
            holder: Any = self.values
            for step in path[:-1]:
                holder = holder[step]
            del holder[path[-1]]
        except (KeyError, IndexError, TypeError):
            return
        self._write()

    def _write(self) -> None:
        text = self.path.read_text(encoding="utf-8") if self.path.exists() else ""
        self._data["config"] = self.values
        wanted = {name: value for name, value in self._data.items() if name != "config" or value}
        write_atomic(self.path, yamlfile.edited(text, wanted), mode=0o644)


def _kind(step: str | int) -> type[dict[Any, Any] | list[Any]]:
    return list if isinstance(step, int) else dict


def _placed(old: Any, path: Path_, rest: Path_, value: Any) -> Any:
    """``old`` with ``value`` at ``rest``, the end of ``path``."""
    if not rest:
        return value
    step, new = rest[0], _kind(rest[0])() if old is None else copy.copy(old)
    if not isinstance(new, _kind(step)):
        wanted = "list" if isinstance(step, int) else "map"
        raise ConfigurationError(f"'{path[-len(rest) - 1]}' is not a {wanted}: cannot set {step!r} in it")
    if isinstance(new, dict):
        new[step] = _placed(new.get(step), path, rest[1:], value)
    elif int(step) > len(new):
        raise ConfigurationError(f"index {step} is out of range: the list has {len(new)} element(s)")
    else:
        inner = new[int(step)] if int(step) < len(new) else None
        new[int(step) : int(step) + 1] = [_placed(inner, path, rest[1:], value)]
    return new


def parse_path(text: str) -> Path_:
    """``a.b[0]["c.d"]`` as its steps.  Raises :class:`ConfigurationError`."""
    steps: Path_ = []
    pattern = re.compile(r"""\.?([^.\[\]"]+)|\[(\d+)\]|\["((?:[^"\\]|\\.)*)"\]""")
    at = 0
    while at < len(text):
        match = pattern.match(text, at)
        if match is None or (at == 0 and text[0] == "."):
            raise ConfigurationError(f"invalid configuration path '{text}' at character {at + 1}")
        name, index, quoted = match.groups()
        steps.append(int(index) if index is not None else name if name is not None else re.sub(r"\\(.)", r"\1", quoted))
        at = match.end()
    if not steps or not isinstance(steps[0], str):
        raise ConfigurationError(f"invalid configuration path '{text}': it must begin with a name")
    return steps


def is_secure(value: Any) -> bool:
    return isinstance(value, dict) and list(value) == ["secure"] and isinstance(value["secure"], str)


def has_secure(value: Any) -> bool:
    """Whether an encrypted value stands anywhere inside."""
    return contains(value, is_secure)


def open_secure(value: Any, decrypt: Callable[[str], str]) -> Any:
    """The value with each ``{"secure": ...}`` replaced by its decrypted text."""
    if is_secure(value):
        return decrypt(value["secure"])
    if isinstance(value, dict):
        return {key: open_secure(item, decrypt) for key, item in value.items()}
    if isinstance(value, list):
        return [open_secure(item, decrypt) for item in value]
    return value


def as_text(value: Any) -> str:
    """A configuration value as Pulumi hands it to a program."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
