"""What a wrong setting is answered with: where it is, what was given, and what is allowed there."""

from __future__ import annotations

import json
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, SecretStr, ValidationError

from providers.fields import Allowed


def explain(error: ValidationError, model: type[BaseModel], prefix: str) -> list[str]:
    """One sentence per problem: the key's dotted path, its value, and what is allowed there."""
    lines: list[str] = []
    for problem in error.errors(include_url=False):
        names = [part for part in problem["loc"] if not _is_noise(part)]
        path = prefix + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in names)
        path = path.replace(":.", ":")
        annotation, keys = _walk(model, names)
        if problem["type"] == "extra_forbidden":
            close = get_close_matches(str(names[-1]), keys, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            lines.append(f"{path} is not a setting{hint}; allowed are: {', '.join(sorted(keys))}")
        elif problem["type"] == "missing":
            lines.append(f"{path} is missing: it must be {annotation or 'given'}")
        elif problem["type"] == "value_error" and isinstance(problem["input"], dict):
            # Two keys of one object that do not go together: the message says which.
            lines.append(f"{path}{'' if path.endswith(':') else ': '}{problem['msg'].removeprefix('Value error, ')}")
        else:
            lines.append(f"{path} is {_show(problem['input'], path)}: it must be {annotation or problem['msg']}")
    return lines


def _is_noise(part: int | str) -> bool:
    """Pydantic adds the tried type of a union or the validator's name to the path: no key is spelled so."""
    return isinstance(part, str) and not part.replace("_", "").replace("-", "").isalnum()


def _show(value: Any, path: str) -> str:
    if isinstance(value, SecretStr) or path.lower().endswith("key"):
        return "[secret]"
    text = json.dumps(value, default=str)
    return text if len(text) <= 80 else text[:77] + "..."


def _walk(model: type[BaseModel], names: list[int | str]) -> tuple[str, list[str]]:
    """What is allowed at a path, and the keys that the object around its last name has."""
    current: Any = model
    allowed = ""
    keys = _keys(model)
    for name in names:
        if isinstance(name, int):
            current = _element(current) if current is not None else None
            allowed = _allowed(current) or allowed
            continue
        owner = _model(current)
        if owner is None:
            break
        keys = _keys(owner)
        field = next((f for n, f in owner.model_fields.items() if name in (f.alias, n)), None)
        if field is None:
            return "", keys
        current = field.annotation
        allowed = next((m.text for m in field.metadata if isinstance(m, Allowed)), "") or _allowed(current)
    owner = _model(current)
    if not allowed and owner is not None and names:
        allowed = f"an object with {', '.join(sorted(_keys(owner)))}"
    return allowed, keys


def _keys(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def _model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model(part)) is not None), None)


def _element(annotation: Any) -> Any:
    return next((part for part in get_args(annotation) if part is not Ellipsis), None)


def _allowed(annotation: Any) -> str:
    """The first :class:`Allowed` of an annotation, looked for in optional types as well."""
    for part in getattr(annotation, "__metadata__", ()):
        if isinstance(part, Allowed):
            return part.text
    return next((text for part in get_args(annotation) if (text := _allowed(part))), "")
