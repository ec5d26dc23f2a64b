"""Property paths (``a.b[0]["c.d"].*``), what lies at them, and differences by path."""

from __future__ import annotations

import re
from typing import Any, Final

from engine.deploy.values import plain, same
from engine.model import PropertyMap
from engine.provider import DiffResult, Kind

Path = list[str | int]
_part: Final = re.compile(r'\.?([^.\[\]"]+)|\[(\d+|\*)\]|\["((?:[^"\\]|\\.)*)"\]')
_inverse: Final[dict[Kind, Kind]] = {
    "add": "delete",
    "delete": "add",
    "add-replace": "delete-replace",
    "delete-replace": "add-replace",
}
_replacing: Final[dict[Kind, Kind]] = {"add": "add-replace", "delete": "delete-replace", "update": "update-replace"}
_absent: Final = object()


def parse(text: str) -> Path:
    """Steps of a path; ``*`` stands for every key or index.  A ValueError names a malformed path."""
    steps: Path = []
    at = 0
    while at < len(text):
        match = _part.match(text, at)
        if match is None:
            raise ValueError(f"malformed property path {text!r} at {text[at:]!r}")
        name, index, quoted = match.groups()
        if index is not None:
            steps.append(index if index == "*" else int(index))
        else:
            steps.append(name if name is not None else quoted.replace('\\"', '"'))
        at = match.end()
    return steps


def covers(pattern: Path, path: Path) -> bool:
    """Whether ``path`` is what ``pattern`` names, or lies within."""
    return len(pattern) <= len(path) and all(a == "*" or a == b for a, b in zip(pattern, path, strict=False))


def keep_old(news: PropertyMap, olds: PropertyMap, ignored: list[str]) -> PropertyMap:
    """``news`` with what lies at the ``ignored`` paths taken from ``olds`` (ignoreChanges)."""
    for text in ignored:
        news = _reset(news, olds, parse(text))
    return news


def _reset(new: Any, old: Any, path: Path) -> Any:
    if not path:
        return old
    step, rest = path[0], path[1:]
    if isinstance(new, dict):
        old_map = old if isinstance(old, dict) else {}
        result = dict(new)
        for key in dict.fromkeys([*new, *old_map]) if step == "*" else [str(step)]:
            if not rest:
                if key in old_map:
                    result[key] = old_map[key]
                else:
                    result.pop(key, None)
            elif key in result:
                result[key] = _reset(result[key], old_map.get(key), rest)
        return result
    if isinstance(new, list) and isinstance(old, list) and (step == "*" or isinstance(step, int)):
        return [
            _reset(item, old[i], rest) if (step == "*" or i == step) and i < len(old) else item
            for i, item in enumerate(new)
        ]
    return new


def differences(old: PropertyMap, new: PropertyMap) -> dict[str, Kind]:
    """What changed from ``old`` to ``new``, by path, secrets compared by value."""
    found: dict[str, Kind] = {}
    _compare("", plain(old), plain(new), found)
    return found


def _compare(path: str, old: Any, new: Any, found: dict[str, Kind]) -> None:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            _compare(_join(path, key), old.get(key, _absent), new.get(key, _absent), found)
    elif isinstance(old, list) and isinstance(new, list):
        for i in range(max(len(old), len(new))):
            before = old[i] if i < len(old) else _absent
            _compare(f"{path}[{i}]", before, new[i] if i < len(new) else _absent, found)
    elif old is _absent:
        found[path] = "add"
    elif new is _absent:
        found[path] = "delete"
    elif not same(old, new):
        found[path] = "update"


def _join(path: str, key: str) -> str:
    if re.search(r'[.\[\]"]', key) or not key:
        escaped = key.replace('"', '\\"')
        return f'{path}["{escaped}"]'
    return f"{path}.{key}" if path else key


def invert(detailed: dict[str, Kind] | None) -> dict[str, Kind] | None:
    """The same differences the other way round: what a refresh found, not what an update would do."""
    return None if detailed is None else {path: _inverse.get(kind, kind) for path, kind in detailed.items()}


def with_replaces(diff: DiffResult, replace_on_changes: list[str], init_errors: bool) -> DiffResult:
    """The diff with ``replaceOnChanges`` applied; a resource that failed to start counts as ``#initerror``."""
    if not replace_on_changes or not (diff.changes or init_errors):
        return diff
    detailed = marked_as_replacing(diff.detailed or {}, replace_on_changes)
    keys = [str(parse(text)[0]) for text, kind in detailed.items() if kind.endswith("-replace")]
    changes = diff.changes
    if init_errors and any(covers(parse(pattern), ["#initerror"]) for pattern in replace_on_changes):
        keys, changes = [*keys, "#initerror"], True
    replaces = list(dict.fromkeys([*diff.replaces, *keys]))
    return DiffResult(changes, replaces, diff.delete_before_replace, detailed or None)


def marked_as_replacing(detailed: dict[str, Kind], patterns: list[str]) -> dict[str, Kind]:
    """The differences with those that lie at or within ``patterns`` marked as causes of a replacement."""
    parsed = [parse(pattern) for pattern in patterns]
    return {
        text: _replacing.get(kind, kind) if any(covers(pattern, parse(text)) for pattern in parsed) else kind
        for text, kind in detailed.items()
    }
