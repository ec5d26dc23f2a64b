"""The same program and packs as the real CLI was given: the same objections, exits and states.

``data/expected.json`` was recorded from Pulumi's own CLI 3.260: exit code, the section "Policies" (or, where the
packs were not loaded, nothing), policy events, and the inputs of what stood in the state after each step.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

data = Path(__file__).with_name("data")
repository = Path(__file__).resolve().parents[3]
cases: dict[str, Any] = json.loads((data / "cases.json").read_text(encoding="utf-8"))
expected: dict[str, Any] = json.loads((data / "expected.json").read_text(encoding="utf-8"))
secret_key = "4dabf18193072939515e22adb298388d"


class Shelf:
    """A copy of the project ``of``, with what stacks it has."""

    def __init__(self, of: Path, root: Path) -> None:
        shutil.copytree(of, root)
        self.root = root / "project"

    def run(self, *args: str) -> subprocess.CompletedProcess[str]:
        environment = {
            **os.environ,
            "PULUMI_CONFIG_PASSPHRASE": "x",
            "PULUMI_STACK": "dev",
            "PYTHONPATH": str(repository),
        }
        environment.pop("PULUMI_BACKEND_URL", None)
        command = [sys.executable, "-m", "engine", *args]
        return subprocess.run(command, cwd=self.root, env=environment, capture_output=True, text=True, timeout=120)

    def ok(self, *args: str) -> str:
        done = self.run(*args)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def inputs(self) -> dict[str, Any]:
        """Inputs by URN; a secret is "[secret]"."""
        state = json.loads((self.root / ".pulumi/stacks/shelf/dev.json").read_text(encoding="utf-8"))
        resources = state["checkpoint"]["latest"].get("resources") or []
        return {each["urn"]: masked(each.get("inputs") or {}) for each in resources}


@pytest.fixture(scope="module")
def stocked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The project with a stack and a secret: making them takes longer than what is done with them."""
    made = Shelf(data, tmp_path_factory.mktemp("packs") / "shelf")
    made.ok("stack", "init", "dev")
    made.ok("config", "set", "--secret", "token", "hunter2sesame")
    return made.root.parent


@pytest.fixture
def shelf(stocked: Path, tmp_path: Path) -> Shelf:
    return Shelf(stocked, tmp_path / "shelf")


def masked(value: Any) -> Any:
    if isinstance(value, dict):
        return "[secret]" if secret_key in value else {key: masked(item) for key, item in value.items()}
    return [masked(item) for item in value] if isinstance(value, list) else value


def policies(output: str) -> list[str]:
    """The section "Policies" of a display."""
    found = re.search(r"(?ms)^Policies:\n(.*?)\n\n", output)
    return found[1].split("\n") if found else []


def policy_events(output: str) -> list[dict[str, Any]]:
    """Violations of ``--json``, in the order of resource and policy."""
    events = [json.loads(line).get("policyEvent") for line in output.splitlines()]
    return sorted(filter(None, events), key=lambda event: (event["resourceUrn"], event["policyName"]))


def without_secrets(inputs: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    """``inputs`` with what ``kept`` holds as a secret masked.

    A remedy that copies properties loses their marks, and the real CLI then keeps plain values in its state.  Here
    a secret stays one.
    """
    return {
        urn: {k: "[secret]" if kept.get(urn, {}).get(k) == "[secret]" else v for k, v in values.items()}
        for urn, values in inputs.items()
    }


@pytest.mark.parametrize("name", [name for name in cases if name in expected])
def test_same_as_the_real_cli(name: str, shelf: Shelf) -> None:
    for pack, settings in cases[name].get("config", {}).items():
        (shelf.root / f"{pack}.json").write_text(json.dumps(settings), encoding="utf-8")
    for step, wanted in zip(cases[name]["steps"], expected[name], strict=True):
        done = shelf.run(*step)
        told = done.stdout + done.stderr
        assert done.returncode == wanted["exit"], told
        assert "hunter2sesame" not in told
        assert policies(done.stdout) == wanted["policies"]
        if "events" in wanted:
            assert policy_events(done.stdout) == wanted["events"]
        inputs = shelf.inputs()
        assert inputs == without_secrets(wanted["inputs"], inputs)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "the policy pack '../packs/broken' did not start: "),
        ("no-pack", "failed to load the policy pack's project file ../packs/none/PulumiPolicy.yaml"),
        ("config-missing", "validating policy config: mend 0.0.1  owner: owner is required"),
        ("config-wrong", 'owner: owner must be one of the following: "anna", "bert"'),
        ("config-wrong", "max-size: max: Invalid type. Expected: integer, given: string"),
        ("config-wrong", "max-size: why: Invalid type. Expected: string, given: integer"),
        ("config-too-small", "max-size: max: Must be greater than or equal to 1"),
        ("config-level", 'enforcement level for "max-size": "strict" is not a valid enforcement level'),
        ("config-number", 'parsing "max-size": 3 is not a valid value; must be a string or object'),
        ("config-unknown", 'configuring policy pack "rules" at "../packs/rules": it has no policy no-such'),
        ("config-no-file", "none.json"),
        ("config-too-few", 'one "--policy-pack-config" for each "--policy-pack"'),
        ("crash", "the policy pack 'crash' (../packs/crash) has ended unexpectedly"),
        ("raises", "policy pack 'raises' (../packs/raises), Analyze: this policy has a mistake"),
    ],
)
def test_what_goes_wrong_is_named(name: str, message: str, shelf: Shelf) -> None:
    for pack, settings in cases[name].get("config", {}).items():
        (shelf.root / f"{pack}.json").write_text(json.dumps(settings), encoding="utf-8")
    done = shelf.run(*cases[name]["steps"][0])
    assert done.returncode != 0
    assert message in done.stdout + done.stderr


def test_preview_as_one_document_names_violations(shelf: Shelf) -> None:
    done = shelf.run("preview", "--json", "--policy-pack", "../packs/rules")
    diagnostics = json.loads(done.stdout)["diagnostics"]
    told = [each for each in diagnostics if each["message"].startswith("warning: [advisory] rules@v1.2.3 token: ")]
    assert [(each["severity"], each["urn"].rpartition("::")[2]) for each in told] == [("warning", "hidden")]
    assert "the token is [secret]" in told[0]["message"]


def test_differences_show_violations_and_remedies(shelf: Shelf) -> None:
    (shelf.root / "mend.json").write_text('{"owner": {"owner": "anna"}, "small": "advisory"}', encoding="utf-8")
    shown = shelf.ok("preview", "--diff", "--policy-pack", "../packs/mend", "--policy-pack-config", "mend.json")
    place = "(pulumi-python:dynamic/test:Thing: plain)"
    assert f'    mend@v0.0.1 [remediate]  owner  {place}\n      + owner: "anna"\n' in shown
    assert f"    mend@v0.0.1 [advisory]  small  {place}\n        Sizes are odd.\n        three is no size\n" in shown
    assert "Policy Packs run:\n    Name                  Version\n    mend (../packs/mend)  0.0.1\n" in shown
