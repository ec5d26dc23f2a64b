from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from bootstrap import environment
from bootstrap.base import IMAGE
from bootstrap.clean import clean, leftovers
from bootstrap.errors import SetupError
from bootstrap.shell import Outcome
from bootstrap.stack import Stack, config_file, passphrase
from bootstrap.step import Context
from tests.unit.bootstrap.fakes import FakeShell


def state(context: Context) -> Path:
    file = context.root / ".pulumi" / "stacks" / "berth" / "dev.json"
    file.parent.mkdir(parents=True)
    file.write_text("{}")
    return file


@pytest.fixture(autouse=True)
def settings(context: Context) -> None:
    config_file(context).write_text("config: {}\n")


def test_a_new_checkout_gets_a_passphrase_and_a_stack(context: Context, shell: FakeShell) -> None:
    assert Stack().satisfied(context) is None
    told = Stack().apply(context)
    assert passphrase(context).stat().st_mode & 0o777 == 0o600
    assert len(passphrase(context).read_text().strip()) >= 32
    assert passphrase(context).read_text().strip() not in told
    assert shell.did("pulumi stack init dev --non-interactive")


def test_a_stack_that_is_there_starts_nothing(context: Context, shell: FakeShell) -> None:
    state(context)
    passphrase(context).parent.mkdir()
    passphrase(context).write_text("x")
    assert Stack().satisfied(context) == "dev is there"
    assert not shell.ran


def test_a_passphrase_of_the_users_is_not_replaced(context: Context, shell: FakeShell) -> None:
    shell.environment["PULUMI_CONFIG_PASSPHRASE"] = ""
    Stack().apply(context)
    assert not passphrase(context).exists()
    assert shell.did("stack init")


def test_another_backend_is_asked(context: Context, shell: FakeShell) -> None:
    shell.environment |= {"PULUMI_BACKEND_URL": "s3://bucket", "PULUMI_CONFIG_PASSPHRASE": "x"}
    assert Stack().satisfied(context) == "dev is there"
    shell.when("stack output", answer=Outcome(255, "no stack named 'dev' found"))
    assert Stack().satisfied(context) is None


def test_a_failing_init_shows_the_engines_words(context: Context, shell: FakeShell) -> None:
    shell.when("stack init", answer=Outcome(255, "error: incorrect passphrase"))
    with pytest.raises(SetupError) as raised:
        Stack().apply(context)
    assert raised.value.output == "error: incorrect passphrase"
    assert ".berth/passphrase" in raised.value.todo


def test_a_salt_of_another_machine_is_dropped_where_it_protects_nothing(context: Context) -> None:
    config_file(context).write_text("encryptionsalt: v1:abc=\nconfig:\n  berth:runtime: docker\n")
    assert "encryptionsalt" in Stack().apply(context)
    assert config_file(context).read_text() == "config:\n  berth:runtime: docker\n"


@pytest.mark.parametrize("what", ["secret settings", "state"])
def test_a_salt_that_protects_something_is_kept(context: Context, shell: FakeShell, what: str) -> None:
    text = "encryptionsalt: v1:abc=\nconfig:\n  berth:chain:\n"
    if what == "state":
        state(context)
    else:
        text += "    deployerKey:\n      secure: v1:xyz\n"
    config_file(context).write_text(text)
    with pytest.raises(SetupError) as raised:
        Stack().apply(context)
    assert ("the state of dev" if what == "state" else "stacks/Pulumi.dev.yaml") in raised.value.what
    assert "PULUMI_CONFIG_PASSPHRASE" in raised.value.todo
    assert config_file(context).read_text() == text
    assert not passphrase(context).exists()


def test_a_lost_passphrase_of_a_state_is_not_replaced(context: Context) -> None:
    state(context)
    with pytest.raises(SetupError) as raised:
        Stack().apply(context)
    assert "the state of dev is encrypted" in raised.value.what
    assert not passphrase(context).exists()


def test_a_stack_without_settings_is_not_made(context: Context, shell: FakeShell) -> None:
    config_file(context).unlink()
    with pytest.raises(SetupError) as raised:
        Stack().apply(context)
    assert "stacks/Pulumi.dev.yaml" in raised.value.what
    assert not shell.did("stack init")


@pytest.mark.parametrize("name", ["*", "d?v", "[d]ev", "", "-x"])
def test_clean_takes_no_pattern_for_a_name(context: Context, shell: FakeShell, name: str) -> None:
    file = state(context)
    context.stack = name
    with pytest.raises(SetupError, match="no stack name"):
        clean(context, "berth")
    assert file.exists()
    assert not shell.ran


@pytest.mark.parametrize("name", ["", "a b", "../x", "dev;rm", "-x", "x" * 41])
def test_a_wrong_stack_name_is_refused(context: Context, shell: FakeShell, name: str) -> None:
    context.stack = name
    with pytest.raises(SetupError):
        Stack().satisfied(context)
    assert not shell.ran


def test_outside_a_checkout_the_message_says_so(context: Context) -> None:
    (context.root / "Pulumi.yaml").unlink()
    passphrase(context).parent.mkdir()
    passphrase(context).write_text("x")
    with pytest.raises(SetupError) as raised:
        Stack().satisfied(context)
    assert "Pulumi.yaml" in raised.value.what


def sourced(context: Context, variables: dict[str, str]) -> dict[str, str]:
    context.home.mkdir(exist_ok=True)
    environment.write(context)
    shown = subprocess.run(
        ["/bin/sh", "-ec", f". '{context.home}/env'; env"],
        env={"PATH": "/usr/bin:/bin", **variables}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return dict(line.split("=", 1) for line in shown.stdout.splitlines() if "=" in line)


def test_the_environment_file_works_in_a_plain_shell(context: Context) -> None:
    context.exports["DOCKER_HOST"] = "unix:///with space/docker.sock"
    shown = sourced(context, {})
    assert shown["PATH"] == f"{context.venv / 'bin'}:/usr/bin:/bin"
    assert shown["PULUMI_CONFIG_PASSPHRASE_FILE"] == str(passphrase(context))
    assert shown["DOCKER_HOST"] == "unix:///with space/docker.sock"


def test_the_environment_file_leaves_a_passphrase_alone(context: Context) -> None:
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in sourced(context, {"PULUMI_CONFIG_PASSPHRASE": ""})
    file = sourced(context, {"PULUMI_CONFIG_PASSPHRASE_FILE": "/mine"})
    assert file["PULUMI_CONFIG_PASSPHRASE_FILE"] == "/mine"


def test_clean_removes_by_label_and_name_alone(context: Context, shell: FakeShell) -> None:
    shell.when("container ls", "label=berth.stack=berth/dev", answer=Outcome(0, "c1\nc2\n"))
    shell.when("volume ls", "label=berth.stack=berth/dev", answer=Outcome(0, "v1\n"))
    shell.when("image ls -q", "reference=berth/*:dev", answer=Outcome(0, "i1\n"))
    shell.when("image ls --format", "reference=berth/*:dev", answer=Outcome(0, "berth/service:dev\n"))
    file = state(context)
    removed = clean(context, "berth")
    assert removed == [
        "container c1", "container c2", "volume v1", "image berth/service:dev", "state .pulumi/stacks/berth/dev.json",
    ]  # fmt: skip
    assert not file.exists()
    filters = ("--filter label=", "--filter reference=", "--filter ancestor=")
    assert all(any(one in line for one in filters) for line in shell.did(" ls "))
    assert not shell.did("prune")


def test_clean_leaves_a_base_image_that_others_use(context: Context, shell: FakeShell) -> None:
    shell.when("image ls", f"reference={IMAGE}", answer=Outcome(0, f"{IMAGE}\n"))
    assert clean(context, "berth") == []  # a stack that never was
    shell.when("volume ls", "label=berth.stack=berth/dev", answer=Outcome(0, "v1\n"))
    assert clean(context, "berth") == ["volume v1", f"image {IMAGE}"]
    shell.when("container ls", f"ancestor={IMAGE}", answer=Outcome(0, "c9\n"))
    assert clean(context, "berth") == ["volume v1"]


def test_clean_leaves_a_base_image_that_another_stack_builds_on(context: Context, shell: FakeShell) -> None:
    shell.when("image ls", f"reference={IMAGE}", answer=Outcome(0, f"{IMAGE}\n"))
    shell.when("volume ls", "label=berth.stack=berth/dev", answer=Outcome(0, "v1\n"))
    shell.when("image ls -q --filter reference=berth/*", answer=Outcome(0, "i9\n"))
    assert clean(context, "berth") == ["volume v1"]


def test_clean_leaves_other_stacks_state(context: Context, shell: FakeShell) -> None:
    state(context)
    other = context.root / ".pulumi" / "stacks" / "berth" / "dev2.json"
    other.write_text("{}")
    clean(context, "berth")
    assert other.exists()


def test_leftovers_of_any_stack_or_test_go_and_images_stay(context: Context, shell: FakeShell) -> None:
    shell.when("network ls", "label=berth.test", answer=Outcome(0, "n1\n"))
    assert leftovers(context) == ["network n1"]
    assert not shell.did("image")


def test_what_is_still_in_use_is_told(context: Context, shell: FakeShell) -> None:
    shell.when("volume ls", answer=Outcome(0, "v1\n"))
    shell.when("volume rm", answer=Outcome(1, "volume is in use"))
    with pytest.raises(SetupError) as raised:
        clean(context, "berth")
    assert raised.value.output == "volume is in use"


def test_without_docker_clean_says_what_to_do(context: Context, shell: FakeShell) -> None:
    shell.when("container ls", answer=Outcome(1, "Cannot connect to the Docker daemon"))
    with pytest.raises(SetupError) as raised:
        clean(context, "berth")
    assert "make setup" in raised.value.todo
