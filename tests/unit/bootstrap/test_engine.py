from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from bootstrap import engine
from bootstrap.engine import Engine
from bootstrap.errors import SetupError
from bootstrap.shell import Outcome
from bootstrap.step import Context
from tests.unit.bootstrap.fakes import FakeShell

SILENT = Outcome(-9, "no answer within 5 s")


def command(context: Context) -> Path:
    return context.venv / "bin" / "pulumi"


def test_a_pulumi_on_path_is_used(context: Context, shell: FakeShell) -> None:
    shell.programs["pulumi"] = ["/usr/local/bin/pulumi"]
    assert Engine().satisfied(context) is None
    assert Engine().apply(context) == "Pulumi's own, /usr/local/bin/pulumi"
    assert "exec /usr/local/bin/pulumi" in command(context).read_text()
    assert shell.did("/usr/local/bin/pulumi plugin install resource docker 5.2.0")
    assert Engine().satisfied(context)


def test_a_docker_plugin_that_is_there_is_not_fetched(context: Context, shell: FakeShell, tmp_path: Path) -> None:
    shell.environment["PULUMI_HOME"] = str(tmp_path / "home")
    (tmp_path / "home" / "plugins" / "resource-docker-v5.2.0").mkdir(parents=True)
    shell.programs["pulumi"] = ["/usr/local/bin/pulumi"]
    Engine().apply(context)
    assert not shell.did("plugin install")


def test_a_docker_plugin_out_of_reach_is_told(context: Context, shell: FakeShell) -> None:
    shell.programs["pulumi"] = ["/usr/local/bin/pulumi"]
    shell.when("plugin install", answer=Outcome(255, "no such host"))
    with pytest.raises(SetupError) as raised:
        Engine().apply(context)
    assert "BERTH_ENGINE=embedded" in raised.value.todo


def test_the_command_written_by_set_up_is_no_pulumi_of_the_users(context: Context, shell: FakeShell) -> None:
    engine.write(context, engine.embedded(context))
    shell.programs["pulumi"] = [str(command(context))]
    assert engine.external(context) is None
    assert Engine().satisfied(context) == "embedded"


def test_without_pulumi_the_installer_is_tried(context: Context, shell: FakeShell) -> None:
    def install(line: tuple[str, ...]) -> Outcome:
        engine.own_cli(context).parent.mkdir(parents=True)
        engine.own_cli(context).touch()
        return Outcome(0, "reached\n")

    shell.when("PulumiCommand.install", answer=install)
    assert "installed in .berth/pulumi" in Engine().apply(context)
    assert Engine().satisfied(context)


def test_an_installer_out_of_reach_gives_the_embedded_engine(context: Context, shell: FakeShell) -> None:
    shell.when("PulumiCommand.install", answer=SILENT)
    assert Engine().apply(context) == "embedded (Pulumi's installer is out of reach)"
    assert Engine().satisfied(context) == "embedded"
    assert not shell.did("apt-get")
    asked = len(shell.ran)
    Engine().satisfied(context)
    assert len(shell.ran) == asked, "a choice made is not made again"


def test_an_installer_that_lacks_curl_gets_it(context: Context, shell: FakeShell) -> None:
    shell.when("dpkg-query", answer=Outcome(1, ""))
    shell.when("PulumiCommand.install", answer=Outcome(1, "reached\nrequires curl or wget"))
    assert Engine().apply(context) == "embedded (Pulumi's installer failed)"
    assert shell.did("apt-get", "install", "curl")
    assert len(shell.did("PulumiCommand.install")) == 2


def test_the_embedded_engine_can_be_asked_for(context: Context, shell: FakeShell) -> None:
    shell.programs["pulumi"] = ["/usr/local/bin/pulumi"]
    shell.environment["BERTH_ENGINE"] = "embedded"
    assert Engine().apply(context) == "embedded (as asked)"
    assert not shell.ran
    assert Engine().satisfied(context) == "embedded"


def test_pulumis_own_can_be_insisted_on(context: Context, shell: FakeShell) -> None:
    engine.write(context, engine.embedded(context))
    shell.environment["BERTH_ENGINE"] = "cli"
    shell.when("PulumiCommand.install", answer=SILENT)
    assert Engine().satisfied(context) is None
    with pytest.raises(SetupError) as raised:
        Engine().apply(context)
    assert "out of reach" in raised.value.what


def test_a_pulumi_installed_later_takes_over(context: Context, shell: FakeShell) -> None:
    engine.write(context, engine.embedded(context))
    shell.programs["pulumi"] = ["/usr/local/bin/pulumi"]
    assert Engine().satisfied(context) is None


def test_an_unknown_choice_is_refused(context: Context, shell: FakeShell) -> None:
    shell.environment["BERTH_ENGINE"] = "terraform"
    with pytest.raises(SetupError) as raised:
        Engine().satisfied(context)
    assert "terraform" in raised.value.what
    assert "embedded" in raised.value.todo


def test_the_command_runs_the_engine_from_anywhere(context: Context, tmp_path: Path) -> None:
    package = context.root / "engine"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "__main__.py").write_text(
        "import os, sys\nprint(sys.argv[1:], os.environ.get('PULUMI_CONFIG_PASSPHRASE_FILE'))\n"
    )
    (context.venv / "bin" / "python").symlink_to(sys.executable)
    context.home.mkdir()
    (context.home / "passphrase").write_text("secret\n")
    engine.write(context, engine.embedded(context))
    run = subprocess.run(
        [command(context), "up", "--message", "two words"], cwd="/", env={"PATH": "/usr/bin:/bin"},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert run.stdout.strip() == f"['up', '--message', 'two words'] {context.home / 'passphrase'}"


def test_a_passphrase_of_the_users_is_kept(context: Context, tmp_path: Path) -> None:
    context.home.mkdir()
    (context.home / "passphrase").write_text("secret\n")
    engine.write(context, engine.wrapper(context, "/usr/bin/env"))
    run = subprocess.run(
        [command(context)], env={"PATH": "/usr/bin:/bin", "PULUMI_CONFIG_PASSPHRASE": ""},
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "PULUMI_CONFIG_PASSPHRASE_FILE" not in run.stdout


def test_the_installer_script_is_python_and_uses_the_sdks_own_address() -> None:
    compile(engine.INSTALL, "installer", "exec")
    assert "://" not in engine.INSTALL
