"""What docs/connect.md says of the API, held to the code."""

from __future__ import annotations

import re
from pathlib import Path

from berth.access.api.errors import reasons

page = (Path(__file__).resolve().parents[3] / "docs" / "connect.md").read_text()


def test_every_reason_is_documented_and_no_other() -> None:
    table = page.partition("## Refusals")[2].partition("## What")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ") and "`" in line]
    assert {name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row)} == reasons
