"""``/docs``: the API's description as one page, which loads nothing from anywhere."""

from __future__ import annotations

import json
from html import escape
from typing import Any, Final

policy: Final = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"

_style: Final = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, pre { font: 14px/1.45 ui-monospace, monospace; }
pre { padding: .75rem; overflow-x: auto; border: 1px solid color-mix(in srgb, currentColor 20%, transparent); }
section { border-top: 1px solid color-mix(in srgb, currentColor 20%, transparent); margin-top: 1.5rem; }
h3 code { font-weight: 700; }
table { border-collapse: collapse; } td, th { text-align: left; padding: .2rem .8rem .2rem 0;
vertical-align: top; }
"""


def page(schema: dict[str, Any]) -> str:
    """The whole page, for an OpenAPI document."""
    info = schema["info"]
    operations = [
        _operation(method, path, of) for path, methods in schema["paths"].items() for method, of in methods.items()
    ]
    shapes = [_shape(name, of) for name, of in sorted(schema["components"]["schemas"].items())]
    told = "".join(f"<p>{_marked(part)}</p>" for part in info["description"].strip().split("\n\n"))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(info['title'])}</title><style>{_style}</style></head><body><main>"
        f"<h1>{escape(info['title'])}</h1>{told}"
        '<p>For programs: <a href="/openapi.json">openapi.json</a> (OpenAPI 3.1).</p>'
        f"<h2>Requests</h2>{''.join(operations)}<h2>Shapes</h2>{''.join(shapes)}</main></body></html>"
    )


def _operation(method: str, path: str, of: dict[str, Any]) -> str:
    rows = [(p["name"], p["in"], _type(p["schema"]), p.get("description", "")) for p in of.get("parameters", [])]
    body = of.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    if body:
        rows.append(("body", "JSON", _type(body), ""))
    responses: dict[str, Any] = of["responses"]
    answers = ", ".join(
        f"{status} {_type(_content(answer))}".strip() for status, answer in responses.items() if status != "default"
    )
    table = "".join(
        f"<tr><td><code>{escape(n)}</code><td>{escape(where)}<td><code>{escape(kind)}</code><td>{_marked(told)}</tr>"
        for n, where, kind, told in rows
    )
    return (
        f"<section><h3><code>{method.upper()} {escape(path)}</code></h3><p>{_marked(of.get('description', ''))}</p>"
        + (f"<table>{table}</table>" if table else "")
        + f"<p>Answers: <code>{escape(answers)}</code></p></section>"
    )


def _content(answer: dict[str, Any]) -> dict[str, Any]:
    given: list[dict[str, Any]] = list(answer.get("content", {}).values())
    schema: dict[str, Any] = given[0].get("schema", {}) if given else {}
    return schema


def _shape(name: str, of: dict[str, Any]) -> str:
    fields = {key: _type(value) for key, value in of.get("properties", {}).items()}
    return (
        f'<section id="{escape(name)}"><h3><code>{escape(name)}</code></h3><p>{_marked(of.get("description", ""))}</p>'
        f"<pre>{escape(json.dumps(fields, indent=1))}</pre></section>"
    )


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " | ".join(_type(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(json.dumps(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"{_type(schema.get('items', {}))}[]"
    return str(schema.get("format") or schema.get("type") or "")


def _marked(text: str) -> str:
    """Escaped, with `code` and **bold**."""
    parts = escape(text).split("`")
    coded = "".join(f"<code>{part}</code>" if n % 2 else part for n, part in enumerate(parts))
    parts = coded.split("**")
    return "".join(f"<strong>{part}</strong>" if n % 2 else part for n, part in enumerate(parts))
