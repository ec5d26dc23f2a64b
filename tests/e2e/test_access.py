"""From a pass on chain to a peer on the node, and back, on the real deployment."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import docker
import httpx
import pytest

from berth.chain.dev import Wallet
from demo.deployment import Deployment
from tests.e2e.conftest import Holder, Node, Pulumi, root

pytestmark = [pytest.mark.docker, pytest.mark.chain]


def test_a_second_up_changes_nothing_though_blocks_were_mined(pulumi: Pulumi, node: Node) -> None:
    before = node.state()
    Deployment(pulumi.outputs()).endpoint.request("anvil_mine", "0x20")
    text = pulumi.expect("up", "--yes", "--skip-preview")
    assert re.search(r"\b\d+ unchanged", text), text
    assert not re.search(r"\b\d+ (created|updated|replaced|deleted)", text), text
    assert node.state()["actual"] == before["actual"]


def test_the_page_and_the_health_behind_the_gateway(pulumi: Pulumi) -> None:
    for url in ("http://127.0.0.1:18380", "http://127.0.0.1:18381"):
        health = httpx.get(f"{url}/health", timeout=10)
        assert health.status_code == 200, health.text
        parts = {"chain", "mongodb", "nodes", "node-1", "node-2", "access", "web"}
        parts |= {"bridges", "bridge-1", "bridge-1b", "bridge-2", "redis", "leases", "reaper"}
        parts |= {"gateways", "node-1-gateway", "node-2-gateway"}
        assert set(health.json()["checks"]) == parts, health.text
        assert health.json()["status"] == "ok", health.text
        status = httpx.get(f"{url}/status", timeout=10)
        assert status.status_code == 200
        for part in ("MongoDB", "node-2", "TCP bridge bridge-1b", "Node gateway node-2-gateway", "Access API"):
            assert part in status.text
        page = httpx.get(url, timeout=10)
        assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
        assert '<script type="module"' in page.text
        assert httpx.get(f"{url}/nowhere", timeout=10).status_code == 404


def test_a_preview_pins_its_block_and_up_applies_that_or_says_that_the_list_has_moved(
    pulumi: Pulumi, node: Node, two_passes: list[Holder], tmp_path: Path
) -> None:
    deployment = Deployment(pulumi.outputs())
    pin = {"BERTH_PIN_FILE": str(tmp_path / "pin")}
    before, declared = node.state()["actual"], pulumi.outputs()["accessList"]

    kept, sold = two_passes
    deployment.passes.transfer(kept.sender, Wallet.fresh().address, kept.token)
    shown = pulumi.expect("preview", "--diff", env=pin)
    assert kept.key in shown
    assert sold.key not in shown
    deployment.passes.transfer(sold.sender, Wallet.fresh().address, sold.token)

    refused = pulumi.up(env=pin)
    assert refused.status != 0
    assert "moved" in refused.text
    assert str(sold.token) in refused.text
    assert "make preview" in refused.text
    assert pulumi.outputs()["accessList"] == declared

    (tmp_path / "pin").unlink()
    pulumi.expect("preview", "--diff", env=pin)
    deployment.endpoint.request("anvil_mine", "0x3")
    pulumi.expect("up", "--yes", "--skip-preview", env=pin)
    assert node.state()["actual"]["peers"] == before["peers"] - 2


def test_the_story_of_the_demo(pulumi: Pulumi) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "demo"],
        cwd=root,
        env={**os.environ, "STACK": pulumi.stack},
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=600,
        check=False,
    )
    assert told.returncode == 0, told.stdout
    assert told.stdout.rstrip().endswith("demo: ok"), told.stdout


def test_no_secret_is_in_the_state_in_plain(pulumi: Pulumi, node: Node) -> None:
    state = pulumi.checkpoint().decode()
    assert node.token not in state
    for container in docker.from_env().containers.list(filters={"label": f"berth.stack=berth/{pulumi.stack}"}):
        described: dict[str, Any] = container.attrs
        assert node.token not in str(described), container.name
