"""Known answers of EIP-1014, through the same formula with the proxy in place of their deployers."""

from __future__ import annotations

from pathlib import Path

import pytest
from eth_abi.abi import encode

from berth.chain import artifacts, create2
from berth.chain.artifacts import Artifact, ArtifactMissing, load
from berth.chain.hashing import normalize_address

# (deployer, salt, creation code, address): the examples of EIP-1014.
examples = [
    ("0x" + "00" * 20, "00" * 32, "00", "0x4D1A2e2bB4F88F0250f26Ffff098B0b30B26BF38"),
    ("0xdeadbeef" + "00" * 16, "00" * 32, "00", "0xB928f69Bb1D91Cd65274e3c79d8986362984fDA3"),
    ("0xdeadbeef" + "00" * 16, "00" * 12 + "feed" + "00" * 18, "00", "0xD04116cDd17beBE565EB2422F2497E06cC1C9833"),
    ("0x" + "00" * 20, "00" * 32, "deadbeef", "0x70f2b2914A2a4b783FaEFb75f459A580616Fcb5e"),
    ("0x" + "00" * 20, "00" * 32, "", "0xE33C0C7F7df4809055C3ebA6c09CFe4BaF1BD9e0"),
]
sample = Artifact("Sample", [{"type": "constructor", "inputs": [{"name": "count_", "type": "uint64"}]}], b"\x60\x00")


@pytest.mark.parametrize(("deployer", "salt", "code", "address"), examples)
def test_eip_1014(monkeypatch: pytest.MonkeyPatch, deployer: str, salt: str, code: str, address: str) -> None:
    monkeypatch.setattr(create2, "proxy_address", deployer)
    assert create2.predicted_address(bytes.fromhex(code), "0x" + salt) == normalize_address(address)


def test_arguments_are_part_of_the_address() -> None:
    one, two = (create2.predicted_address(create2.init_code(sample, {"count": n})) for n in (1, 2))
    assert one != two


def test_a_number_that_went_through_state_is_the_same_number() -> None:
    assert create2.init_code(sample, {"count": 3600.0}) == sample.bytecode + encode(["uint64"], [3600])


@pytest.mark.parametrize("arguments", [{}, {"number": 1}, {"count": 1, "more": 2}, {"count": -1}, {"count": "x"}])
def test_wrong_arguments_are_named(arguments: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="Sample"):
        create2.init_code(sample, arguments)


def test_a_short_salt_is_refused() -> None:
    with pytest.raises(ValueError, match="32 are needed"):
        create2.predicted_address(b"", "0x00")


@pytest.mark.parametrize("name", ["AccessPass", "KeyRegistry", "NodeRegistry"])
def test_committed_artifacts_load(name: str) -> None:
    artifact = load(name)
    assert artifact.bytecode
    assert all(not argument.endswith("_") for argument, _ in artifact.constructor)


def test_a_missing_artifact_names_those_that_are_there() -> None:
    with pytest.raises(ArtifactMissing, match="KeyRegistry"):
        load("Nothing")


def test_a_damaged_artifact_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(artifacts, "folder", tmp_path)
    (tmp_path / "Half.json").write_text('{"abi": [')
    with pytest.raises(ArtifactMissing, match="git checkout"):
        load("Half")
