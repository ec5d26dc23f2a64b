"""YAML as Pulumi reads it (YAML 1.2's core types), and edits that keep the rest of the text as it was."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from engine.backend.errors import ConfigurationError


class _Loader(yaml.SafeLoader):
    """PyYAML's defaults would read ``on`` as true, ``12:30`` as 750 and a date as an object."""

    yaml_implicit_resolvers = {}  # noqa: RUF012 - as PyYAML declares it


for _tag, _pattern in {
    "bool": r"true|True|TRUE|false|False|FALSE",
    "int": r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+",
    "float": r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)",
    "null": r"~|null|Null|NULL|",
    "merge": r"<<",
}.items():
    _Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(f"^(?:{_pattern})$"), None)


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
    if not isinstance(data, dict | None):
        raise ConfigurationError(f"{path} must hold a mapping, not a {type(data).__name__}")
    return data or {}


def edited(text: str, wanted: dict[str, Any]) -> str:
    """The text changed to hold ``wanted``: only entries that differ are written, all other lines stay.

    Where that does not give ``wanted`` (aliases, odd layout) the file is written anew, without its comments.
    """
    root, new = yaml.compose(text, _Loader), text
    if root is None:
        return text + _dump(wanted, 0)
    for start, end, entry in sorted(_edits(text, root, wanted), reverse=True) if _block(root) else ():
        head = new[:start] if not entry or new[:start][-1:] in ("", "\n") else f"{new[:start]}\n"
        new = head + entry + new[end:]
    try:
        if (yaml.load(new, _Loader) or {}) == wanted:
            return new
    except yaml.YAMLError:
        pass  # comments are lost below, values never
    return _dump(wanted, 0)


def _edits(text: str, mapping: yaml.Node, wanted: dict[str, Any]) -> Iterator[tuple[int, int, str]]:
    """(start, end, new text) of the entries that differ, in the deepest mappings that have both."""
    column, added = mapping.start_mark.column, dict(wanted)
    for name, node in mapping.value:
        start, end = name.start_mark.index - column, _end(text, node)
        value = added.pop(name.value, None)
        if isinstance(value, dict) and value and _block(node):
            yield from _edits(text, node, value)
        elif name.value not in wanted:
            yield start, end, ""
        elif (entry := _dump({name.value: value}, column)) != _dump({name.value: _value(node)}, column):
            yield start, end, entry  # compared as text, where true is not 1
    if added:
        yield _end(text, mapping), _end(text, mapping), _dump(added, column)


def _value(node: yaml.Node) -> Any:
    return _Loader("").construct_object(node, deep=True)


def _block(node: yaml.Node) -> bool:
    return isinstance(node, yaml.MappingNode) and not node.flow_style


def _end(text: str, node: Any) -> int:
    """Just after the node's last line: PyYAML's end of a block is where the next token begins, comments skipped."""
    while isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
        last = node.value[-1]
        node = last[1] if isinstance(last, tuple) else last
    end: int = node.end_mark.index
    if end and text[end - 1] == "\n":  # a block scalar
        return end
    newline = text.find("\n", end)
    return len(text) if newline < 0 else newline + 1


def _dump(value: dict[str, Any], indent: int) -> str:
    lines = yaml.safe_dump(value, sort_keys=False, allow_unicode=True, width=1_000_000).splitlines() if value else ()
    return "".join(f"{' ' * indent}{line}\n" for line in lines)
