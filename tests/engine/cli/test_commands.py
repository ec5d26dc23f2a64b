"""Verbs that need no deployment: version, stack, config, cancel; flags; what is refused."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import time
from pathlib import Path

import pytest

from engine.backend.secrets import PassphraseManager
from engine.backend.state import StateFile
from engine.model import Resource, Secret, Snapshot
from tests.engine.cli.conftest import Pulumi

pytestmark = pytest.mark.usefixtures("fast_keys")
root_urn = "urn:pulumi:dev::small::pulumi:pulumi:Stack::small-dev"


def fill(pulumi: Pulumi, *extra: Resource) -> None:
    """Put a stack with outputs into the state."""
    salt = StateFile(pulumi.state, "organization/small/dev", None).salt()
    outputs = {"url": "http://x", "size": 3, "token": Secret("hush"), "deep": {"pw": Secret("hush")}}
    stack = Resource(root_urn, "pulumi:pulumi:Stack", False, outputs=outputs)
    state = StateFile(pulumi.state, "organization/small/dev", PassphraseManager(salt, lambda: "pass"))
    state.save(Snapshot([stack, *extra]))


def test_version_says_which_engine_and_loads_nothing_heavy(empty: Pulumi) -> None:
    assert re.fullmatch(r"v3\.\d+\.\d+ \(embedded engine in Python, not Pulumi's CLI\)\n", empty.ok("version"))
    code = (
        "import sys, engine.cli.main as m\n"
        "try: m.main(['version'])\n"
        "except SystemExit: print(sorted({'grpc', 'rich', 'yaml', 'cryptography', 'pulumi'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [empty.command[0], "-c", code], env=empty.environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1] == "[]"


def test_alone_it_says_what_there_is(empty: Pulumi) -> None:
    text = empty.ok()
    assert "Usage: pulumi [OPTIONS] COMMAND" in text
    assert [line.split()[0] for line in text.split("Commands:\n")[1].splitlines()] == [
        "cancel", "config", "destroy", "preview", "refresh", "stack", "up", "version",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("args", "code", "message"),
    [
        (["up", "--nonsense"], 2, "unknown flag: --nonsense; see `pulumi up --help`"),
        (["up", "--exclude", "x"], 2, "--exclude is a flag of Pulumi's CLI that the embedded engine does not have"),
        (["up", "-c", "x"], 2, "-c is a flag of Pulumi's CLI"),
        (["preview", "--import-file=x"], 2, "--import-file is a flag of Pulumi's CLI"),
        (["up", "--yes", "--plan", "nothing.json"], 2, "nothing.json is no plan"),
        (["watch"], 2, "`pulumi watch` is a command of Pulumi's CLI that the embedded engine does not have"),
        (["frobnicate"], 2, "No such command 'frobnicate'"),
        (["up", "--yes=perhaps"], 2, "invalid value 'perhaps' for --yes: write true or false"),
        (["up", "--parallel", "many"], 2, "'many' is not a valid integer"),
        (["up", "--yes", "--parallel", "0"], 2, "--parallel must be at least 1, not 0"),
        (["up"], 2, "--yes or --skip-preview must be passed in to proceed when running in non-interactive mode"),
        (["up", "--yes=false"], 2, "--yes or --skip-preview must be passed in"),
        (["destroy"], 2, "--yes or --skip-preview must be passed in"),
        (["--cwd", "/nowhere", "up", "-y"], 2, "--cwd /nowhere: there is no such directory"),
        (["-C", "/", "up", "-y"], 2, "no Pulumi.yaml project file found (searching upwards from /)"),
        (["up", "-y", "--stack", "other"], 6, "no stack named 'other' found (there are: dev)"),
        (["stack", "select", "other"], 6, "no stack named 'other' found"),
        (["stack", "init", "dev"], 1, "stack 'dev' already exists"),
        (["stack", "init", "a/b"], 2, "'a/b' is not a stack of this backend"),
        (["stack", "output", "gone"], 1, "stack 'dev' does not have output 'gone' (there are: none)"),
        (["config", "get", "gone"], 2, "configuration key 'gone' not found for stack 'dev'"),
        (["config", "set", "--path", "a[", "1"], 2, "invalid configuration path 'a['"),
        (["config", "set", "a:b:c", "1"], 2, "'a:b:c' is not a configuration key"),
        (["stack", "rm"], 2, "--yes must be passed in to proceed when running in non-interactive mode"),
    ],
)
def test_what_is_refused_is_named_and_changes_nothing(pulumi: Pulumi, args: list[str], code: int, message: str) -> None:
    done = pulumi.refused(*args)
    assert message in done.err
    assert done.code == code


@pytest.mark.parametrize(
    "args", [["--stack", "dev", "stack", "ls"], ["stack", "-s", "dev", "ls"], ["stack", "ls", "-sdev"]]
)
def test_shared_flags_may_stand_anywhere(pulumi: Pulumi, args: list[str]) -> None:
    assert "dev*" in pulumi.ok(*args)


def test_the_life_of_a_stack(empty: Pulumi) -> None:
    assert "no stack selected" in empty.refused("stack").err
    empty.ok("stack", "init", "dev")
    empty.ok("stack", "init", "organization/small/prod", "--no-select")
    assert [row["name"] for row in json.loads(empty.ok("stack", "ls", "--json")) if row["current"]] == ["dev"]
    empty.ok("stack", "select", "prod")
    assert "Current stack is prod" in empty.ok("stack")
    empty.ok("stack", "select", "--create", "third")
    empty.ok("stack", "rm", "third", "-y")
    assert not (empty.root / "stacks/Pulumi.third.yaml").exists()
    assert "no stack selected" in empty.refused("config").err
    assert [row["name"] for row in json.loads(empty.ok("stack", "ls", "--json"))] == ["dev", "prod"]


def test_the_stack_file_gets_the_salt_with_its_first_secret(pulumi: Pulumi) -> None:
    file = pulumi.root / "stacks/Pulumi.dev.yaml"
    pulumi.ok("config", "set", "small:plain", "1")
    assert "encryptionsalt" not in file.read_text(encoding="utf-8")
    pulumi.ok("config", "set", "small:word", "hush", "--secret")
    assert StateFile(pulumi.state, "organization/small/dev", None).salt() in file.read_text(encoding="utf-8")
    assert pulumi.ok("config", "get", "small:word") == "hush\n"


def test_a_stack_with_resources_is_not_removed(pulumi: Pulumi) -> None:
    pulumi.ok("config", "set", "small:plain", "1")
    fill(pulumi, Resource("urn:pulumi:dev::small::a:b:C::x", "a:b:C", True, id="1"))
    assert "still has 2 resource(s)" in pulumi.refused("stack", "rm", "-y").err
    pulumi.ok("stack", "rm", "-y", "--force", "--preserve-config")
    assert not pulumi.state.exists()
    assert Path(f"{pulumi.state}.bak").exists()
    assert (pulumi.root / "stacks/Pulumi.dev.yaml").exists()


def test_outputs_and_their_secrets(pulumi: Pulumi) -> None:
    fill(pulumi)
    assert json.loads(pulumi.ok("stack", "output", "--json")) == {
        "url": "http://x", "size": 3, "token": "[secret]", "deep": {"pw": "[secret]"},
    }  # fmt: skip
    assert json.loads(pulumi.ok("stack", "output", "-j", "--show-secrets"))["deep"] == {"pw": "hush"}
    assert pulumi.ok("stack", "output", "url") == "http://x\n"
    assert pulumi.ok("stack", "output", "token") == "[secret]\n"
    assert pulumi.ok("stack", "output", "token", "--show-secrets") == "hush\n"
    assert "hush" not in pulumi.ok("stack") + pulumi.ok("stack", "output") + pulumi.ok("stack", "export")


def test_export_and_import(pulumi: Pulumi, tmp_path: Path) -> None:
    fill(pulumi)
    before = json.loads(pulumi.ok("stack", "export"))
    assert list(before) == ["version", "deployment"]
    file = tmp_path / "state.json"
    pulumi.ok("stack", "export", "--file", str(file), "--show-secrets")
    assert "hush" in file.read_text(encoding="utf-8")
    pulumi.ok("stack", "import", "--file", str(file))
    assert "hush" not in pulumi.state.read_text(encoding="utf-8")
    assert json.loads(pulumi.ok("stack", "output", "--json", "--show-secrets"))["token"] == "hush"
    pulumi.ok("stack", "init", "prod")
    assert "belongs to another stack" in pulumi.refused("stack", "import", "--file", str(file)).err
    for text, message in (("{", "not an exported state"), ('{"version": 3}', "'deployment'"), (
        '{"version": 4, "features": ["views"], "deployment": {}}', "version 4")):  # fmt: skip
        file.write_text(text, encoding="utf-8")
        assert message in pulumi.refused("stack", "import", "--file", str(file)).err


def test_configuration(pulumi: Pulumi, monkeypatch: pytest.MonkeyPatch) -> None:
    pulumi.ok("config", "set", "plain", "5")
    pulumi.ok("config", "set", "--secret", "password", "hush")
    pulumi.ok("config", "set", "--path", "small:nodes[0].port", "80")
    pulumi.ok("config", "set", "--path", "nodes[0].on", "true")
    pulumi.ok("config", "set", "--path", "--secret", "nodes[0].token", "hush")
    assert pulumi.ok("config") == (
        "KEY       VALUE\n"
        'nodes     [{"on":true,"port":80,"token":"[secret]"}]\n'
        "password  [secret]\n"
        "plain     5\n"
    )  # fmt: skip
    assert "hush" not in (pulumi.root / "stacks/Pulumi.dev.yaml").read_text(encoding="utf-8")
    assert pulumi.ok("config", "get", "password") == "hush\n"
    assert pulumi.ok("config", "get", "--path", "nodes[0].port") == "80\n"
    assert json.loads(pulumi.ok("config", "--json"))["small:password"] == {"secret": True}
    assert "hush" in pulumi.ok("config", "--show-secrets")
    shown = json.loads(pulumi.ok("config", "get", "--json", "--path", "nodes"))
    assert shown["objectValue"] == [{"on": True, "port": 80, "token": "hush"}]
    pulumi.ok("config", "rm", "--path", "nodes[0].token")
    pulumi.ok("config", "rm", "password")
    assert pulumi.ok("config", "get", "nodes") == '[{"on":true,"port":80}]\n'
    monkeypatch.setenv("PULUMI_CONFIG_PASSPHRASE", "wrong")
    assert "incorrect passphrase" in pulumi.refused("config", "set", "--secret", "x", "y").err


def test_cancelling(pulumi: Pulumi) -> None:
    assert "is not locked" in pulumi.ok("cancel")
    lock = pulumi.root / ".pulumi/locks/organization/small/dev/x.json"
    lock.parent.mkdir(parents=True)
    content = {"pid": os.getpid(), "username": "ann", "hostname": socket.gethostname()}
    lock.write_text(json.dumps(content | {"timestamp": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime())}))
    assert "--yes must be passed" in pulumi.refused("cancel").err  # it lives
    assert "locked by 1 lock(s)" in pulumi.refused("up", "--yes").err
    assert f"ann@{socket.gethostname()} (pid {os.getpid()})" in pulumi.ok("cancel", "--yes")
    assert not lock.exists()
