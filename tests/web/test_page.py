"""The web page's own tests (Vitest), run as part of these so that one command runs everything."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
WEB = ROOT / "web"


@pytest.mark.timeout(300)
def test_the_tests_of_the_page_pass() -> None:
    assert (WEB / "node_modules").is_dir(), "web/node_modules is not there; run: python3 -m bootstrap checks"
    done = subprocess.run(
        ["npm", "test", "--silent"], cwd=WEB, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-8000:]


def test_the_server_of_the_page_knows_its_views() -> None:
    """Only these are answered with the page; the rest is 404."""
    views = (WEB / "src" / "views" / "index.ts").read_text()
    served = (ROOT / "images" / "web" / "nginx.conf").read_text()
    paths = [line.split('path: "/', 1)[1].split('"', 1)[0] for line in views.splitlines() if 'path: "/' in line]
    assert paths
    assert f"location ~ ^/({'|'.join(paths)})?$" in served
