"""The checkpoint: round trips, secrets, damage, and a disk that does not take it."""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from engine.backend import codec
from engine.backend.errors import DamagedState, EngineError, WrongPassphrase
from engine.backend.secrets import PassphraseManager
from engine.backend.state import StateFile
from engine.model import UNKNOWN, PendingOperation, Reference, Resource, Secret, Snapshot

stack = "organization/berth/dev"
root = "urn:pulumi:dev::berth::pulumi:pulumi:Stack::berth-dev"
provider = "urn:pulumi:dev::berth::pulumi:providers:docker::default"
network = "urn:pulumi:dev::berth::docker:index/network:Network::inside"
secret = codec.signature

foreign: dict[str, Any] = {
    "version": 3,
    "checkpoint": {
        "stack": stack,
        "config": {"kept": 1},
        "latest": {
            "manifest": {"time": "2024-01-01T00:00:00Z", "magic": "m", "version": "v3.1.0", "plugins": [{"name": "x"}]},
            "snippets": ["kept"],
            "resources": [
                {"urn": root, "custom": False, "type": "pulumi:pulumi:Stack", "outputs": {"url": "http://x"}},
                {"urn": provider, "custom": True, "id": "p1", "type": "pulumi:providers:docker"},
                {
                    "urn": network,
                    "custom": True,
                    "id": "n1",
                    "type": "docker:index/network:Network",
                    "inputs": {"__defaults": [], "name": "inside", "size": 3, "part": 0.5},
                    "parent": root,
                    "provider": f"{provider}::p1",
                    "dependencies": [root],
                    "propertyDependencies": {"name": None},
                    "created": "2024-01-01T00:00:00Z",
                    "hideDiff": ["kept"],
                    "viewOf": "",
                },
            ],
            "metadata": {"integrity_error": None},
        },
    },
}


@pytest.fixture(scope="module")
def secrets() -> PassphraseManager:
    return PassphraseManager.new(lambda: "password")


@pytest.fixture
def state(tmp_path: Path, secrets: PassphraseManager) -> StateFile:
    return StateFile(tmp_path / "stacks/berth/dev.json", stack, secrets)


def write(state: StateFile, document: Any) -> None:
    state.path.parent.mkdir(parents=True, exist_ok=True)
    state.path.write_text(document if isinstance(document, str) else json.dumps(document), encoding="utf-8")


def test_what_another_engine_wrote_is_kept(state: StateFile) -> None:
    write(state, foreign)
    state.save(state.load())
    again = json.loads(state.path.read_text(encoding="utf-8"))
    before, after = foreign["checkpoint"], again["checkpoint"]
    assert after["config"] == before["config"]
    assert after["latest"]["snippets"] == ["kept"]
    assert after["latest"]["metadata"] == before["latest"]["metadata"]
    assert after["latest"]["manifest"]["plugins"] == [{"name": "x"}]
    manifest = after["latest"]["manifest"]
    assert manifest["magic"] == hashlib.sha256(manifest["version"].encode()).hexdigest()
    expected = json.loads(json.dumps(before["latest"]["resources"]))
    expected[2]["propertyDependencies"] = {"name": []}
    assert after["latest"]["resources"] == expected
    assert list(after["latest"]["resources"][2])[:6] == ["urn", "custom", "id", "type", "inputs", "parent"]
    assert json.loads(Path(f"{state.path}.bak").read_text(encoding="utf-8")) == foreign


def test_values_of_every_kind_come_back(state: StateFile) -> None:
    values = {
        "null": None,
        "whole": 3.0,
        "big": 2**60,
        "nan": float("inf"),
        "unknown": UNKNOWN,
        "reference": Reference(root, "id", "1.0"),
        "component": Reference(root),
        "secret": Secret({"list": [1, Secret("inner"), "☃"]}),
        "asset": {codec.signature: "c44067f5952c0a294b673a41bacd8c17", "text": "x"},
    }
    resource = Resource(root, "t", True, outputs=values, custom_timeouts={"create": 600})
    state.save(Snapshot([resource], [PendingOperation(resource, "creating")], {}))
    loaded = state.load()
    assert loaded.resources[0].outputs == values | {"whole": 3}
    assert isinstance(loaded.resources[0].outputs["whole"], int)
    assert math.isinf(loaded.resources[0].outputs["nan"])
    assert loaded.resources[0].custom_timeouts == {"create": 600}
    assert loaded.pending_operations[0].type == "creating"
    assert "inner" not in state.path.read_text(encoding="utf-8")


def test_unchanged_secrets_keep_their_ciphertext(state: StateFile, secrets: PassphraseManager) -> None:
    def sealed(path: Path) -> list[str]:
        resources = json.loads(path.read_text(encoding="utf-8"))["checkpoint"]["latest"]["resources"]
        return [resource["inputs"]["password"]["ciphertext"] for resource in resources]

    state.save(Snapshot([Resource(f"{root}{n}", "t", True, inputs={"password": Secret("same")}) for n in "ab"]))
    first = sealed(state.path)
    assert first[0] != first[1]  # equal secrets must not look equal
    other = StateFile(state.path, stack, secrets)
    snapshot = other.load()
    snapshot.resources[1].inputs = {"password": Secret("other")}
    other.save(snapshot)
    assert sealed(state.path)[0] == first[0]
    assert sealed(state.path)[1] != first[1]


def test_a_state_of_another_salt_is_read_and_written_with_ours(state: StateFile) -> None:
    state.save(Snapshot([Resource(root, "t", True, inputs={"a": Secret("x")})]))
    rotated = StateFile(state.path, stack, PassphraseManager.new(lambda: "password"))
    snapshot = rotated.load()
    assert snapshot.resources[0].inputs == {"a": Secret("x")}
    rotated.save(snapshot)
    assert rotated.salt() == rotated.secrets.salt_state  # type: ignore[union-attr]
    assert rotated.load().resources[0].inputs == {"a": Secret("x")}


def test_a_wrong_passphrase_changes_nothing(state: StateFile) -> None:
    state.save(Snapshot([Resource(root, "t", True, inputs={"a": Secret("x")})]))
    before = state.path.read_bytes()
    with pytest.raises(WrongPassphrase):
        StateFile(state.path, stack, PassphraseManager(state.salt(), lambda: "wrong")).load()
    assert state.path.read_bytes() == before


def _with(index: int, **fields: Any) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(json.dumps(foreign))
    document["checkpoint"]["latest"]["resources"][index] |= fields
    return document


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ('{"version": 3,\n "checkpoint": {', r"line 2, column 17"),
        ("", "line 1, column 1"),
        ("[]", "not a checkpoint"),
        ("{}", "not a checkpoint"),
        (_with(2, parent="urn:gone"), r"resources\[2\]: .*inside refers to urn:gone, which does not stand before it"),
        (_with(2, provider="urn:gone::id"), "refers to urn:gone"),
        (_with(2, urn=root), "is there twice"),
        (_with(2, outputs={"x": {secret: codec.secret_signature}}), r"resources\[2\]: .*exactly one of"),
        ({"version": 3, "checkpoint": {"latest": {"resources": [{"urn": "x"}]}}}, r"resources\[0\]: 'type' is missing"),
    ],
)
def test_damage_is_named_and_nothing_is_changed(state: StateFile, document: Any, message: str) -> None:
    write(state, document)
    before = state.path.read_bytes()
    with pytest.raises(DamagedState, match=message) as caught:
        state.load()
    assert str(state.path) in str(caught.value)
    assert "Nothing was changed" in str(caught.value)
    assert "no .bak" in str(caught.value)
    Path(f"{state.path}.bak").write_text("{}", encoding="utf-8")
    with pytest.raises(DamagedState, match=r"cp .*dev\.json\.bak .*dev\.json"):
        state.load()
    assert state.path.read_bytes() == before


@pytest.mark.parametrize(
    ("fields", "message"),
    [({"version": 4, "features": ["views"]}, r"version 4 \(features: views\)"), ({"version": 2}, "version 2")],
)
def test_state_that_is_not_understood_is_refused(state: StateFile, fields: dict[str, Any], message: str) -> None:
    write(state, foreign | fields)
    with pytest.raises(EngineError, match=message):
        state.load()


def test_hooks_and_taint_make_it_version_4(state: StateFile) -> None:
    resource = Resource("urn:pulumi:dev::p::t::a", "t", False, extra={"resourceHooks": {"BeforeDelete": ["tell"]}})
    state.save(Snapshot([resource]))
    document = json.loads(state.path.read_text(encoding="utf-8"))
    assert (document["version"], document["features"]) == (4, ["hooks"])
    assert state.load().resources[0].extra == resource.extra
    state.save(Snapshot([]))
    document = json.loads(state.path.read_text(encoding="utf-8"))
    assert (document["version"], "features" in document) == (3, False)


def test_a_disk_that_refuses_leaves_the_old_state(state: StateFile, monkeypatch: pytest.MonkeyPatch) -> None:
    state.save(Snapshot())
    before = state.path.read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(EngineError, match=r"cannot write .*dev\.json: No space left.*unchanged"):
        state.save(Snapshot([Resource(root, "t", False)]))
    assert state.path.read_bytes() == before
    assert [path.name for path in state.path.parent.iterdir()] == ["dev.json"]


def test_saving_again_encodes_only_what_is_new(state: StateFile, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshot = Snapshot([Resource(f"{root}{n}", "t", True, inputs={"n": n}, outputs={"n": n}) for n in range(50)])
    state.encode(snapshot)
    encoded: list[Any] = []
    dumps = codec.dumps
    monkeypatch.setattr(codec, "dumps", lambda value: encoded.append(value) or dumps(value))
    snapshot.resources[7] = replace(snapshot.resources[7], outputs={"n": "new"})
    text = state.encode(snapshot)
    assert [value["outputs"] for value in encoded if "outputs" in value] == [{"n": "new"}]
    assert json.loads(text)["checkpoint"]["latest"]["resources"][7]["outputs"] == {"n": "new"}


def test_saving_what_is_there_already_leaves_the_file_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "dev.json"
    StateFile(path, "organization/p/dev", None).save(Snapshot(metadata={"a": 1}))
    before = path.read_bytes()
    again = StateFile(path, "organization/p/dev", None)
    again.save(again.load())
    assert path.read_bytes() == before
    again.save(Snapshot(metadata={"a": 2}))
    assert path.read_bytes() != before
