"""Import, ``.get`` and providers of the program's own, with the Docker provider on a real daemon."""

from __future__ import annotations

import subprocess
import uuid

import pytest

pytestmark = pytest.mark.docker


def docker(*words: str) -> str:
    return subprocess.run(["docker", *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def volume():
    name = f"berth-test-deploy-{uuid.uuid4().hex[:8]}"
    docker("volume", "create", "--label", "berth.test=engine-deploy", name)
    yield name
    docker("volume", "rm", "--force", name)


def test_import_get_and_own_provider(bench, volume):
    text = f"""
        import pulumi_docker as docker
        labels = [docker.VolumeLabelArgs(label="berth.test", value="engine-deploy")]
        own = docker.Provider("own", host="unix:///var/run/docker.sock")
        taken = docker.Volume("taken", name={volume!r}, labels=labels, opts=Opts(import_={volume!r}, provider=own))
        found = docker.Volume.get("found", {volume!r})
        pulumi.export("mountpoint", found.mountpoint)
        """
    bench.program(text)
    preview = bench.run("preview")
    assert preview.failed is None, preview.messages("error")
    assert preview.changes == {"create": 2, "import": 1}
    outcome = bench.up()
    assert outcome.changes == {"create": 2, "import": 1}
    taken, own, found = (outcome.named(name) for name in ("taken", "own", "found"))
    assert (taken.id, taken.import_id, taken.external) == (volume, volume, False)
    assert taken.provider == f"{own.urn}::{own.id}"
    assert found.external
    assert found.provider.split("::")[3].startswith("default_"), "the SDK asks for its own version"
    assert outcome.outputs["mountpoint"].endswith(f"/{volume}/_data")
    assert bench.up().changes == {"same": 3}
    bench.program("pass")
    gone = bench.up()
    assert gone.changes == {"same": 1, "delete": 2, "discard": 1}
    assert volume not in docker("volume", "ls", "--quiet").splitlines()
