"""The table of a node's variables, and its example, held to the settings."""

from __future__ import annotations

import re
from pathlib import Path

from berth.vpn.settings import NodeSettings

ROOT = Path(__file__).resolve().parents[2]
VARIABLES = [name.upper() for name in NodeSettings.model_fields]


def test_the_table_has_every_variable_and_no_other() -> None:
    rows = re.findall(r"^\| `([A-Z0-9_]+)` \|([^|]*)\|", (ROOT / "docs" / "node.md").read_text(), re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(VARIABLES)
    for name, default in rows:
        field = NodeSettings.model_fields[name.lower()]
        told = re.fullmatch(r" `(.*)` ", default)
        if told:
            shown = str(field.default).lower() if isinstance(field.default, bool) else str(field.default)
            assert told[1] == shown or told[1] in VARIABLES, name
        else:
            assert (default.strip() == "needed") == field.is_required(), name


def test_the_example_names_every_variable_once() -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    named = [found[1].removesuffix("_FILE") for line in lines if (found := re.match(r"#?([A-Z0-9_]+)=", line))]
    assert sorted(named) == sorted(VARIABLES)


def test_the_example_is_a_good_one(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("0123456789abcdef")
    lines = [line for line in (ROOT / ".env.example").read_text().splitlines() if re.match(r"[A-Z]", line)]
    environment = dict(line.split("=", 1) for line in lines)
    NodeSettings.load("WireGuard node", {**environment, "CONTROL_TOKEN_FILE": str(token)})
