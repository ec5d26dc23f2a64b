"""Writes docs/settings.md from the settings' model: ``make docs``, or with ``--check`` says whether it is current."""

from __future__ import annotations

import ast
import inspect
import json
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from pydantic import BaseModel  # noqa: E402
from pydantic.fields import FieldInfo  # noqa: E402
from pydantic_core import PydanticUndefined, to_jsonable_python  # noqa: E402

from components.settings import Settings  # noqa: E402
from providers.fields import Allowed, Section  # noqa: E402
from providers.settings import NodeSettings  # noqa: E402

TARGET = ROOT / "docs" / "settings.md"
HEAD = """\
<!-- Generated from components/settings.py by `make docs`; do not edit. -->
# Settings

Each stack has one file, `stacks/Pulumi.<stack>.yaml`; these are the keys under `config:`. What is left out has
its default. A wrong or unknown key stops `preview` and `up` before anything is touched, and the message names
the key, its value and what is allowed.

Set one from the command line with `pulumi config set --path 'berth:access.passName' 'our pass' --stack dev`, a
secret with `--secret` as well; it is then encrypted in the file.
"""


def sections() -> Iterator[tuple[str, type[BaseModel]]]:
    """Each object under ``berth:`` with its model; what is in it comes after it, a list's element with ``[]``."""
    for name, field in Settings.model_fields.items():
        model = _model(field.annotation)
        if model is None:
            continue
        yield from _within(f"berth:{field.alias or name}", model)


def _within(key: str, model: type[BaseModel]) -> Iterator[tuple[str, type[BaseModel]]]:
    yield key, model
    for inner, nested in model.model_fields.items():
        inside = _model(nested.annotation)
        if inside is not None and issubclass(inside, Section):  # a service's own shapes are described where it is
            yield from _within(f"{key}.{nested.alias or inner}{'[]' if _is_list(nested) else ''}", inside)


def text() -> str:
    parts = [HEAD]
    scalars = {n: f for n, f in Settings.model_fields.items() if _model(f.annotation) is None}
    rows = [_row(f"berth:{f.alias or n}", f, "") for n, f in scalars.items()]
    parts.append(_table(rows))
    for key, model in sections():
        parts.append(f"## {key}\n\n{_about(model)}\n")
        notes = _notes(model)
        parts.append(_table([_row(f.alias or n, f, notes.get(n, "")) for n, f in model.model_fields.items()]))
    return "\n".join(parts)


def _about(model: type[BaseModel]) -> str:
    about = inspect.cleandoc(model.__doc__ or "").partition(": ")[2].replace("``", "`")
    return about[:1].upper() + about[1:]


def _table(rows: list[str]) -> str:
    return "\n".join(["| key | default | it may be | |", "| --- | --- | --- | --- |", *rows, ""])


def _row(key: str, field: FieldInfo, note: str) -> str:
    cells = (f"`{key}`", _default(field), _allowed(field), note)
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined and field.default_factory is None:
        return "**required**"
    value: Any = field.get_default(call_default_factory=True, validated_data={})
    if value is None or value == "":
        return ""
    if isinstance(value, BaseModel):
        return "as below"
    if isinstance(value, dict) and value and all(isinstance(one, BaseModel) for one in value.values()):
        return ", ".join(f"`{name}`" for name in value)
    if isinstance(value, tuple) and value and isinstance(value[0], NodeSettings):
        return f"one node, `{value[0].name}`"
    return f"`{json.dumps(to_jsonable_python(value))}`".replace('`"', "`").replace('"`', "`")


def _allowed(field: FieldInfo) -> str:
    found = next((one.text for one in _metadata(field) if isinstance(one, Allowed)), "")
    if not found and _model(field.annotation) is not None and not _is_list(field):
        found = "an object"
    if not found and _is_list(field):
        found = "a list; each: " + next((m.text for m in _nested(field.annotation)), "")
    return found.replace("<", "&lt;").replace(">", "&gt;")


def _metadata(field: FieldInfo) -> Iterator[Any]:
    yield from field.metadata
    # What is said inside a model is said of its own keys.
    if not _is_list(field) and _model(field.annotation) is None:
        yield from _nested(field.annotation)


def _nested(annotation: Any) -> Iterator[Allowed]:
    for one in getattr(annotation, "__metadata__", ()):
        if isinstance(one, Allowed):
            yield one
    for part in get_args(annotation):
        yield from _nested(part)


def _is_list(field: FieldInfo) -> bool:
    return "tuple" in str(field.annotation)


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model(part)) is not None), None)


def _notes(model: type[BaseModel]) -> dict[str, str]:
    """The strings that stand below fields in the source."""
    notes: dict[str, str] = {}
    (body,) = ast.parse(textwrap.dedent(inspect.getsource(model))).body
    assert isinstance(body, ast.ClassDef)
    for field, below in zip(body.body, body.body[1:], strict=False):
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(below, ast.Expr)
            and isinstance(below.value, ast.Constant)
        ):
            notes[field.target.id] = " ".join(str(below.value.value).split()).replace("``", "`")
    return notes


def main(arguments: list[str]) -> int:
    new = text()
    if "--check" in arguments:
        current = TARGET.exists() and TARGET.read_text() == new
        print("docs/settings.md is current" if current else "docs/settings.md is out of date: run make docs")
        return 0 if current else 1
    TARGET.write_text(new)
    print(f"wrote {TARGET.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
