"""What the API says of itself against what it does: schemathesis makes up requests from ``/openapi.json``, right ones
and wrong ones, and holds every answer against it, on a real manager with real MongoDB, Redis and Docker.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.leases.world import Servers, World, catalogue, root

pytestmark = pytest.mark.docker

seed = "7"
_wrong = ("error", "critical")
config = """
[checks]
# An idempotency key that was used for something else, and a lease through a tunnel of no pass, have the right shape.
positive_data_acceptance.expected-statuses = ["2xx", "401", "403", "404", "409", "422", "429"]
# Leases that were ended can be looked at for a while.
use_after_free.enabled = false

[[operations]]
# A user who was just registered is not who asks.
include-path = "/api/users/{username}/container"
checks.ensure_resource_availability.enabled = false
"""


@pytest.fixture(scope="module")
def tokens(servers: Servers, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    made = World(
        servers, tmp_path_factory.mktemp("schema"), catalogue(), LEASE_ACCESS="token", MAX_CONTAINERS="12",
        MAX_PER_USER="10",
    )  # fmt: skip
    try:
        yield made.start()
    finally:
        made.close()


@pytest.fixture(scope="module")
def bystander(tokens: World) -> dict[str, str]:
    """Somebody with a lease, of whom nobody else may see anything."""
    token = register(tokens, "bystander")
    body = {"imageType": "talker", "durationMinutes": 60}
    made = tokens.call(
        "POST", "/api/provision", json=body, params={"wait": 20}, headers={"Authorization": f"Bearer {token}"}
    ).json()
    assert made["status"] == "running", made
    return {"token": token, "lease": made["id"], "name": made["name"]}


def register(world: World, name: str) -> str:
    response = world.call("POST", "/api/users", json={"username": name})
    assert response.status_code == 201, response.text
    return str(response.json()["token"])


def probe(
    world: World, folder: Path, bystander: dict[str, str], *options: str, token: str = "", more: str = "",
    **environment: str,
) -> None:  # fmt: skip
    """Fails with all that schemathesis found."""
    (folder / "schemathesis.toml").write_text(config + more)
    command = [
        "schemathesis", "--no-color", "--config-file", str(folder / "schemathesis.toml"), "run",
        f"{world.http.base_url}/openapi.json".replace("//openapi", "/openapi"), "--checks", "all", "--seed", seed,
        "--generation-database", "none", "--continue-on-failure", "--no-shrink", "--request-timeout", "30",
        "--warnings", "off", "--output-truncate", "false", *options,
    ]  # fmt: skip
    if token:
        command += ["--header", f"Authorization: Bearer {token}"]
    canaries = ",".join((bystander["token"], bystander["name"]))
    done = subprocess.run(
        command, cwd=folder, text=True, capture_output=True, check=False,
        env={
            **os.environ, "SCHEMATHESIS_HOOKS": str(root / "tests/integration/leases/schema_checks.py"),
            "BERTH_CANARIES": canaries, **environment,
        },
    )  # fmt: skip
    broken = [line.get("exception") or line["event"] for line in world.log if line.get("level") in _wrong]
    assert done.returncode == 0, "\n".join([done.stdout, done.stderr, *broken])
    assert world.is_well(), "the manager is worse for it"
    assert not broken, broken


def clear(world: World, keep: str) -> None:
    for record in world.records(phase={"$ne": "gone"}, _id={"$ne": keep}):
        world.call("DELETE", f"/api/containers/{record['_id']}", params={"wait": 20}, headers=world.admin)


def no_streams(*more: str) -> list[str]:
    """Server-sent events have no end."""
    return ["--exclude-path", "/api/events", *more]


def test_requests_of_a_user(tokens: World, bystander: dict[str, str], tmp_path: Path) -> None:
    options = no_streams("--exclude-tag", "operators", "--phases", "fuzzing,stateful", "--max-examples", "4")
    probe(tokens, tmp_path, bystander, *options, token=register(tokens, "prober"))
    clear(tokens, bystander["lease"])


def test_requests_without_credentials(tokens: World, bystander: dict[str, str], tmp_path: Path) -> None:
    probe(tokens, tmp_path, bystander, "--phases", "fuzzing", "--max-examples", "3", BERTH_OUTSIDE="1")


def test_requests_for_what_is_anothers(tokens: World, bystander: dict[str, str], tmp_path: Path) -> None:
    fixed = f"""
[parameters]
"path.lease" = "{bystander["lease"]}"
"path.username" = "bystander"
"query.username" = "bystander"
"""
    options = ["--include-path-regex", "/(containers|leases)/\\{lease\\}|/users/\\{", "--phases", "fuzzing"]
    options += ["--max-examples", "6"]
    probe(tokens, tmp_path, bystander, *options, token=register(tokens, "other"), BERTH_OUTSIDE="1", more=fixed)
    assert tokens.records(_id=bystander["lease"], phase="ready"), "its lease is as it was"


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("who", ["a user", "an operator"])
def test_many_requests(tokens: World, bystander: dict[str, str], tmp_path: Path, who: str) -> None:
    options = no_streams("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "25")
    if who == "a user":
        probe(tokens, tmp_path, bystander, *options, token=register(tokens, "many"))
    else:
        # An operator sees everything, and ends it.
        probe(tokens, tmp_path, {"token": "", "name": ""}, *options, token=tokens.environment["ADMIN_TOKEN"])
    clear(tokens, "")
