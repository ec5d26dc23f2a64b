"""YAML as Pulumi reads it (YAML 1.2's core types), and edits that keep the rest of the text as it was."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from engine.backend.errors import ConfigurationError


class _Loader(yaml.SafeLoader):
    """PyYAML's defaults would read ``on`` as true, ``12:30`` as 750 and a date as an object."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - as PyYAML declares it


for _tag, _pattern, _first in (
    ("bool", r"true|True|TRUE|false|False|FALSE", "tTfF"),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", "-+0123456789"),
    (
        "float",
        r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
        "-+.0123456789",
    ),
    ("null", r"~|null|Null|NULL|", "~nN\0"),
    ("merge", r"<<", "<"),
):
    for _letter in _first:
        _resolvers = _Loader.yaml_implicit_resolvers.setdefault("" if _letter == "\0" else _letter, [])
        _resolvers.append((f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$")))


def _construct_int(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = str(loader.construct_scalar(node))
    return int(text, 0) if text[:2] in ("0x", "0o") else int(text)


_Loader.add_constructor("tag:yaml.org,2002:int", _construct_int)


def load(path: Path) -> dict[str, Any]:
    """The file's mapping (empty for an empty file).  Raises :class:`ConfigurationError` with line and column."""
    try:
        data = yaml.load(path.read_text(encoding="utf-8"), _Loader)
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} is not valid YAML: {error}") from error
    if data is None:
        return {}
    if not isinstance(data, dict):
        raise ConfigurationError(f"{path} must hold a mapping, not a {type(data).__name__}")
    return data


def edited(text: str, path: list[str], value: Any, expected: dict[str, Any]) -> str:
    """:func:`replace_entry`, or the whole file anew where that would not give ``expected`` (aliases, odd layout)."""
    new = replace_entry(text, path, value)
    try:
        if (yaml.load(new, _Loader) or {}) == expected:
            return new
    except yaml.YAMLError:
        pass  # comments are lost below, values never
    return yaml.safe_dump(expected, sort_keys=False, allow_unicode=True, width=1_000_000) if expected else ""


def replace_entry(text: str, path: list[str], value: Any) -> str:
    """The text with the entry at ``path`` (keys, outermost first) set to ``value``, or removed when it is None.

    Only that entry's lines change; missing mappings on the way are made.
    """
    root = yaml.compose(text, _Loader)
    if root is None:
        return text + ("" if value is None else _dump(path, value, 0))
    node: Any = root
    for depth, key in enumerate(path):
        if not isinstance(node, yaml.MappingNode) or node.flow_style:
            return _rewrite(text, path, depth, value)  # `config: {}` or `config:`
        found = next(((k, v) for k, v in node.value if k.value == key), None)
        if found is None:
            if value is None:
                return text
            indent = node.start_mark.column
            at = _end(text, node)
            before = text[:at] if not at or text[at - 1] == "\n" else text[:at] + "\n"
            return before + _dump(path[depth:], value, indent) + text[at:]
        parent, (name, node) = node, found
        if value is None and depth == len(path) - 1 and len(parent.value) == 1 and depth:
            return replace_entry(text, path[:-1], None)  # an empty mapping would read as null
    start = name.start_mark.index - name.start_mark.column
    end = _end(text, node)
    new = "" if value is None else _dump(path[-1:], value, name.start_mark.column)
    return text[:start] + new + text[end:]


def _rewrite(text: str, path: list[str], depth: int, value: Any) -> str:
    """Write the entry at ``path[:depth]`` anew, in block style."""
    old: Any = yaml.load(text, _Loader)
    for key in path[:depth]:
        old = old[key]
    merged = old if isinstance(old, dict) else {}
    inner = merged
    for key in path[depth:-1]:
        inner = inner.setdefault(key, {})
    if value is None:
        inner.pop(path[-1], None)
    else:
        inner[path[-1]] = value
    return replace_entry(text, path[:depth], merged or None) if depth else _dump([], merged, 0)


def _end(text: str, node: Any) -> int:
    """Just after the node's last line: PyYAML's end of a block is where the next token begins, comments skipped."""
    while isinstance(node, yaml.MappingNode | yaml.SequenceNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    end: int = node.end_mark.index
    if end and text[end - 1] == "\n":  # a block scalar
        return end
    newline = text.find("\n", end)
    return len(text) if newline < 0 else newline + 1


def _dump(path: list[str], value: Any, indent: int) -> str:
    for key in reversed(path):
        value = {key: value}
    lines = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1_000_000).splitlines()
    return "".join(f"{' ' * indent}{line}\n" for line in lines)
