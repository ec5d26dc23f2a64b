from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from bootstrap import docker
from bootstrap.docker import Docker, builder, daemon, remove_stale_pid, remove_stale_rules
from bootstrap.errors import SetupError
from bootstrap.shell import Outcome
from bootstrap.step import Context
from tests.unit.bootstrap.fakes import FakeShell

OLD = Outcome(0, "Docker version 20.10.24+dfsg1, build 297e128")
NEW = Outcome(0, "Docker version 28.2.2, build e6534b4")


@pytest.fixture
def answering(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A socket on which something answers as a daemon does."""
    path = tmp_path / "docker.sock"
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with client:
                client.recv(1000)
                client.sendall(b"HTTP/1.0 200 OK\r\n\r\nOK")

    thread = threading.Thread(target=serve)
    thread.start()
    monkeypatch.setattr(docker, "SOCKET", path)
    yield path
    server.shutdown(socket.SHUT_RDWR)
    server.close()
    thread.join(5)


@pytest.fixture
def nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No daemon, no service manager, no time to lose."""
    monkeypatch.setattr(docker, "SOCKET", tmp_path / "absent.sock")
    monkeypatch.setattr(docker, "START_LIMIT", 0.3)
    monkeypatch.setattr(docker, "PID_FILES", (tmp_path / "docker.pid",))
    monkeypatch.setattr(docker, "_systemd", lambda: False)
    return tmp_path


def test_a_daemon_that_answers_is_used_without_root_or_apt(context: Context, shell: FakeShell, answering: Path) -> None:
    shell.root_user = False
    shell.programs["docker"] = ["/usr/bin/docker"]
    shell.when("--version", answer=OLD)
    assert Docker().satisfied(context) == f"unix://{answering} answers"
    assert not shell.did("apt-get")
    assert context.exports == {}


def test_docker_host_is_believed(context: Context, shell: FakeShell, answering: Path) -> None:
    shell.environment["DOCKER_HOST"] = f"unix://{answering}"
    assert daemon(context) == f"unix://{answering}"
    shell.environment["DOCKER_HOST"] = "unix:///no/such.sock"
    assert daemon(context) is None


def test_a_chosen_daemon_that_is_down_is_told_and_not_replaced(context: Context, shell: FakeShell) -> None:
    shell.environment["DOCKER_HOST"] = "unix:///no/such.sock"
    shell.programs["dockerd"] = ["/usr/sbin/dockerd"]
    with pytest.raises(SetupError) as raised:
        Docker().apply(context)
    assert "unix:///no/such.sock" in raised.value.what
    assert "DOCKER_HOST" in raised.value.todo
    assert not shell.spawned
    assert not shell.ran


def test_the_client_knows_where_a_daemon_of_the_user_listens(context: Context, shell: FakeShell, nothing: Path) -> None:
    shell.programs["docker"] = ["/usr/bin/docker"]
    shell.when("context inspect", answer=Outcome(0, "unix:///home-of-user/docker.sock\n"))
    shell.when("-H unix:///home-of-user/docker.sock version", answer=Outcome(0, "27.0.0"))
    assert daemon(context) == "unix:///home-of-user/docker.sock"
    assert context.exports == {"DOCKER_HOST": "unix:///home-of-user/docker.sock"}


def test_no_permission_is_told_as_such(context: Context, monkeypatch: pytest.MonkeyPatch, answering: Path) -> None:
    class Refused:
        def __init__(self, family: int) -> None:
            raise PermissionError

    monkeypatch.setattr(docker.socket, "socket", Refused)
    with pytest.raises(SetupError) as raised:
        daemon(context)
    assert "group docker" in raised.value.todo


def test_a_socket_that_nobody_serves_is_no_daemon(context: Context, nothing: Path) -> None:
    (nothing / "absent.sock").touch()
    assert daemon(context) is None


def test_nothing_there_installs_and_starts(
    context: Context, shell: FakeShell, nothing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def install(command: tuple[str, ...]) -> Outcome:
        shell.programs["dockerd"] = ["/usr/sbin/dockerd"]
        shell.programs["docker"] = ["/usr/bin/docker"]
        return Outcome(0, "")

    shell.when("dpkg-query", answer=Outcome(1, ""))
    shell.when("apt-get", "install", "docker.io", answer=install)
    shell.when("--version", answer=OLD)
    monkeypatch.setattr(docker, "_answers", lambda path: bool(shell.spawned))
    assert Docker().satisfied(context) is None
    assert Docker().apply(context) == "installed docker.io, started dockerd"
    assert shell.spawned == [f"/usr/sbin/dockerd --group {os.getgid()}"]


def test_an_installed_daemon_is_only_started(
    context: Context, shell: FakeShell, nothing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.programs |= {"dockerd": ["/usr/sbin/dockerd"], "docker": ["/usr/bin/docker"]}
    shell.when("--version", answer=OLD)
    monkeypatch.setattr(docker, "_answers", lambda path: bool(shell.spawned))
    assert Docker().apply(context) == "started dockerd"
    assert not shell.did("apt-get")


def test_the_service_manager_starts_it_where_there_is_one(
    context: Context, shell: FakeShell, nothing: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shell.programs |= {"dockerd": ["/usr/sbin/dockerd"], "docker": ["/usr/bin/docker"]}
    shell.when("--version", answer=OLD)
    monkeypatch.setattr(docker, "_systemd", lambda: True)
    monkeypatch.setattr(docker, "_answers", lambda path: bool(shell.did("systemctl start docker")))
    assert Docker().apply(context) == "started the Docker service"
    assert not shell.spawned


def test_a_daemon_that_does_not_come_up_shows_its_log(context: Context, shell: FakeShell, nothing: Path) -> None:
    shell.programs["dockerd"] = ["/usr/sbin/dockerd"]
    context.home.mkdir()
    (context.home / "dockerd.log").write_text("failed to start daemon: Devices cgroup isn't mounted\n")
    with pytest.raises(SetupError) as raised:
        Docker().apply(context)
    assert "did not answer within" in raised.value.what
    assert "dockerd.log" in raised.value.todo
    assert "Devices cgroup" in raised.value.output


@pytest.mark.parametrize(
    "text", ["999999999", "", "rubbish", str(os.getpid())], ids=["nobody", "empty", "rubbish", "another"]
)
def test_a_stale_pid_file_goes(context: Context, shell: FakeShell, tmp_path: Path, text: str) -> None:
    """The process is gone, the file is broken, or another program has that number now."""
    file = tmp_path / "docker.pid"
    file.write_text(text)
    remove_stale_pid(context, file)
    assert shell.did(f"rm -f {file}")


def test_without_a_pid_file_nothing_is_removed(context: Context, shell: FakeShell, tmp_path: Path) -> None:
    remove_stale_pid(context, tmp_path / "docker.pid")
    assert not shell.ran


def test_rules_of_bridges_that_are_gone_go(
    context: Context, shell: FakeShell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(docker, "INTERFACES", tmp_path)
    (tmp_path / "br-0123456789ab").mkdir()
    there, gone = (f"-s 172.30.10.0/24 ! -o br-{name} -j MASQUERADE" for name in ("0123456789ab", "90715b80bde8"))
    direct = "-d 172.30.10.10/32 ! -i br-90715b80bde8 -j DROP"
    others = "-A POSTROUTING -s 10.0.0.0/8 ! -o lan0 -j MASQUERADE"
    shell.when(
        "iptables -t nat -S POSTROUTING",
        answer=Outcome(0, f"-P POSTROUTING ACCEPT\n-A POSTROUTING {there}\n-A POSTROUTING {gone}\n{others}\n"),
    )
    shell.when("iptables -t raw -S PREROUTING", answer=Outcome(0, f"-A PREROUTING {direct}\n"))
    remove_stale_rules(context)
    assert [call for call in shell.ran if "-D" in call] == [
        f"iptables -t nat -D POSTROUTING {gone}",
        f"iptables -t raw -D PREROUTING {direct}",
    ]


def test_without_iptables_no_rule_is_looked_for(context: Context, shell: FakeShell) -> None:
    shell.when("iptables", answer=Outcome(127, "iptables: No such file or directory"))
    remove_stale_rules(context)
    assert not [call for call in shell.ran if "-D" in call]


def test_a_client_that_builds_and_comes_first_needs_no_link(context: Context, shell: FakeShell) -> None:
    shell.programs["docker"] = ["/usr/bin/docker"]
    shell.when("--version", answer=OLD)
    assert builder(context) == "/usr/bin/docker"
    assert not (context.home / "bin" / "docker").exists()


def test_a_client_without_buildx_is_passed_over(context: Context, shell: FakeShell) -> None:
    shell.programs["docker"] = ["/usr/local/bin/docker", "/usr/bin/docker"]
    shell.when("/usr/local/bin/docker --version", answer=NEW)
    shell.when("buildx version", answer=Outcome(1, "is not a docker command"))
    shell.when("/usr/bin/docker --version", answer=OLD)
    assert builder(context) == "/usr/bin/docker"
    assert os.readlink(context.home / "bin" / "docker") == "/usr/bin/docker"
    shell.programs["docker"].insert(0, str(context.home / "bin" / "docker"))
    assert builder(context) == "/usr/bin/docker", "its own link is nobody's client"
    shell.programs["docker"].reverse()
    builder(context)
    assert not (context.home / "bin" / "docker").is_symlink()


def test_a_client_with_buildx_builds(context: Context, shell: FakeShell) -> None:
    shell.programs["docker"] = ["/usr/bin/docker"]
    shell.when("--version", answer=NEW)
    assert builder(context) == "/usr/bin/docker"


def test_without_any_client_that_builds_the_plugin_is_named(
    context: Context, shell: FakeShell, answering: Path
) -> None:
    shell.programs["docker"] = ["/usr/bin/docker"]
    shell.when("--version", answer=NEW)
    shell.when("buildx version", answer=Outcome(1, ""))
    assert Docker().satisfied(context) is None
    with pytest.raises(SetupError) as raised:
        Docker().apply(context)
    assert "buildx" in raised.value.todo
    assert not shell.did("apt-get")


def test_pulumis_own_cli_builds_without_a_client(context: Context, shell: FakeShell, answering: Path) -> None:
    shell.programs |= {"docker": [], "pulumi": ["/usr/local/bin/pulumi"]}
    assert Docker().satisfied(context)
    shell.environment["BERTH_ENGINE"] = "embedded"
    assert Docker().satisfied(context) is None
