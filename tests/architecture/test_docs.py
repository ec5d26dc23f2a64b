"""What is written about the code, held to the code."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.harness import Measurement

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["README.md", "CONTRIBUTING.md", *sorted(str(p.relative_to(ROOT)) for p in (ROOT / "docs").glob("*.md"))]
TARGETS = set(re.findall(r"^([a-z][a-z-]*):(?!=)", (ROOT / "Makefile").read_text(), re.MULTILINE))


def test_the_settings_page_is_current() -> None:
    done = subprocess.run([sys.executable, "docs/generate_settings.py", "--check"], cwd=ROOT, capture_output=True)
    assert done.returncode == 0, (done.stdout + done.stderr).decode()


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_lead_somewhere(page: str) -> None:
    text = (ROOT / page).read_text()
    targets = re.findall(r"\]\((?!https?://|#)([^)#]+)", text)
    missing = [target for target in targets if not ((ROOT / page).parent / target).exists()]
    assert not missing


@pytest.mark.parametrize("page", PAGES)
def test_pages_name_make_targets_that_there_are(page: str) -> None:
    text = (ROOT / page).read_text()
    code = [*re.findall(r"`([^`\n]+)`", text), *re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)]
    named = {target for piece in code for target in re.findall(r"(?:^|&& |\n)make ([a-z][a-z-]*)", piece)}
    assert named <= TARGETS


def test_a_measurement_has_the_fields_that_programs_read() -> None:
    line = json.loads(Measurement("access_list", "1000", "seconds", "s", ours=1.5, baseline=1.0, target=2).as_json())
    assert list(line) == ["bench", "case", "metric", "unit", "ours", "baseline", "ratio", "target", "ok"]
    assert (line["ratio"], line["ok"]) == (1.5, True)


def test_a_measurement_without_a_baseline_says_null() -> None:
    line = json.loads(Measurement("access_list", "10", "calls", "calls", ours=9, target=2).as_json())
    assert (line["baseline"], line["ratio"], line["ok"]) == (None, None, False)
