"""What the base gives every component: URNs known beforehand, jobs that fail loudly, secrets that stay."""

from __future__ import annotations

import pulumi
import pulumi_docker as docker
import pytest

from berth.chain.accounts import address_of
from components.base import Component, Limits, finished
from providers.secret import GeneratedSecretProvider
from tests.component.recorder import Recorder, declare

container = "docker:index/container:Container"


class Outer(Component):
    def __init__(self, name: str) -> None:
        super().__init__("berth:test:Outer", name)
        self.container("whole", image="i", limits=Limits(memory=64))
        self.with_file = self.container("with-file", image="i", limits=Limits(memory=64), files={"a": "1"})
        self.register_outputs({})


def test_urns_are_known_before_registration() -> None:
    recorder = declare(lambda: Outer("outer"))
    for resource in recorder.of(container):
        labels = {entry["label"]: entry["value"] for entry in resource.inputs["labels"]}
        assert labels["berth.urn"] == resource.urn


def test_root_file_system_is_read_only_unless_files_are_brought() -> None:
    recorder = declare(lambda: Outer("outer"))
    assert recorder.named(container, "whole").inputs["readOnly"] is True
    assert recorder.named(container, "with-file").inputs["readOnly"] is False


@pytest.mark.parametrize(("code", "log"), [(0, ""), (0, None)])
def test_a_job_that_ended_well_passes_the_value_on(code: int, log: str | None) -> None:
    seen: list[str] = []
    declare(lambda: finished(_job(code, log), "done").apply(seen.append))
    assert seen == ["done"]


def test_a_job_that_failed_fails_the_update_with_the_end_of_its_log() -> None:
    with pytest.raises(pulumi.RunError, match="berth-dev-job failed with exit code 1; its log ends with:\nno primary"):
        declare(lambda: finished(_job(1, "no primary"), "done"))


class _Ended(docker.Container):
    """Stands for a container that has run: only what ``finished`` reads."""

    def __init__(self, code: int, log: str | None) -> None:
        self.outputs = {
            "name": pulumi.Output.from_input("berth-dev-job"),
            "exit_code": pulumi.Output.from_input(code),
            "container_logs": pulumi.Output.from_input(log),
        }

    def __getattribute__(self, key: str) -> object:
        outputs = object.__getattribute__(self, "__dict__").get("outputs", {})
        return outputs[key] if key in outputs else object.__getattribute__(self, key)


def _job(code: int, log: str | None) -> docker.Container:
    return _Ended(code, log)


def test_generated_secrets_differ_and_have_the_form_of_their_kind() -> None:
    provider = GeneratedSecretProvider()
    token = provider.create({"kind": "token"}).outs
    other = provider.create({"kind": "token"}).outs
    keyfile = provider.create({"kind": "keyfile"}).outs
    assert token is not None
    assert other is not None
    assert keyfile is not None
    assert token["value"] != other["value"]
    assert len(bytes.fromhex(token["value"])) == 32
    assert 6 <= len(keyfile["value"]) <= 1024


def test_a_generated_account_has_an_address() -> None:
    keys = {(GeneratedSecretProvider().create({"kind": "account"}).outs or {})["value"] for _ in range(50)}
    assert len({address_of(key) for key in keys}) == 50


def test_a_generated_secret_survives_updates_and_refreshes() -> None:
    provider = GeneratedSecretProvider()
    kept = {"kind": "token", "value": "kept"}
    assert provider.diff("id", kept, {"kind": "token"}).changes is False
    assert provider.update("id", kept, {"kind": "token"}).outs == kept
    read = provider.read("id", kept)
    assert (read.id, read.outs, read.inputs) == ("id", kept, {"kind": "token"})
    assert provider.diff("id", kept, {"kind": "keyfile"}).replaces == ["kind"]


def test_docker_names_carry_project_and_stack() -> None:
    recorder: Recorder = declare(lambda: Outer("outer"), stack="blue")
    assert recorder.named(container, "whole").inputs["name"] == "berth-blue-whole"
