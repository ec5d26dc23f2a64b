"""The manager's environment: every problem in one message."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from berth.kit.settings import SettingsError
from berth.leases.settings import ManagerSettings


def environment(folder: Path, **more: str) -> dict[str, str]:
    (folder / "leases.json").write_text(json.dumps({"scenarios": {"a": {"containers": {"main": {"image": "x"}}}}}))
    return {
        "STACK": "dev", "MONGODB_URI": "mongodb://m/berth", "REDIS_URL": "redis://r", "SESSION_KEY": "k" * 32,
        "LEASES_FILE": str(folder / "leases.json"), **more,
    }  # fmt: skip


def test_defaults(tmp_path: Path) -> None:
    settings = ManagerSettings.load("x", environment(tmp_path))
    assert (settings.network, settings.warnings, settings.longest) == ("berth-dev-leases", (300, 60), 86_400)
    assert settings.url_of("a") == "http://a.test.localhost:8080"


def test_urls_follow_the_gateway(tmp_path: Path) -> None:
    settings = ManagerSettings.load("x", environment(tmp_path, PUBLIC_URL="https://berth.example"))
    assert (settings.url_of("a"), settings.port_of()) == ("https://a.test.localhost", 443)


def test_what_only_a_tunnel_reaches_has_another_address(tmp_path: Path) -> None:
    settings = ManagerSettings.load("x", environment(tmp_path, PUBLIC_URL="https://berth.example"))
    assert (settings.url_of("a", "vpn"), settings.port_of("vpn")) == ("http://a.vpn.internal", 80)


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"MIN_DURATION_MINUTES": "9", "MAX_DURATION_MINUTES": "5"}, "MIN_DURATION_MINUTES is 9"),
        ({"MAX_PER_USER": "101"}, "MAX_PER_USER is 101"),
        ({"CLEANUP_INTERVAL_MINUTES": "0"}, "CLEANUP_INTERVAL_MINUTES"),
        ({"LEASE_ACCESS": "pass"}, "ACCESS_SESSION_KEY is not set, which LEASE_ACCESS=pass needs"),
        ({"SESSION_KEY": "short"}, "SESSION_KEY"),
        ({"WARN_SECONDS": "5,x"}, "WARN_SECONDS"),
        ({"DOCKER_HOST": "ssh://somewhere"}, "DOCKER_HOST"),
        ({"LEASES_FILE": "/not/there"}, "LEASES_FILE is /not/there"),
    ],
)
def test_problems_are_told(tmp_path: Path, wrong: dict[str, str], told: str) -> None:
    with pytest.raises(SettingsError) as refused:
        ManagerSettings.load("x", environment(tmp_path) | wrong)
    assert told in str(refused.value)
    assert "short" not in str(refused.value) or "SESSION_KEY" not in wrong, "secrets are not shown"
