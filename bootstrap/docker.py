"""A Docker daemon that answers, and a client that can build with BuildKit."""

from __future__ import annotations

import os
import re
import socket
import time
from pathlib import Path

from bootstrap import apt
from bootstrap.errors import SetupError
from bootstrap.step import Context

SOCKET = Path("/var/run/docker.sock")
PID_FILES = (Path("/var/run/docker.pid"), Path("/var/run/docker/containerd/containerd.pid"))
INTERFACES = Path("/sys/class/net")
# Docker's rules about its bridges that concern who is *not* on them: table, chain, and where the bridge is named.
BRIDGE_RULES = (("nat", "POSTROUTING", "-o"), ("raw", "PREROUTING", "-i"))
START_LIMIT = 60.0  # seconds that a daemon may take until it answers
BUILDX_SINCE = 23  # from this major version on a client builds through its buildx plugin alone


class Docker:
    """Uses the daemon that is there; else starts the installed one; else installs Debian's."""

    name = "Docker"

    def satisfied(self, context: Context) -> str | None:
        where = daemon(context)
        if where is None:
            return None
        client = builder(context)
        if client is None and not _pulumi_builds(context):
            return None
        return f"{where} answers"

    def apply(self, context: Context) -> str:
        done: list[str] = []
        chosen = context.shell.environment.get("DOCKER_HOST")
        if daemon(context) is None:
            if chosen:
                raise SetupError(
                    f"DOCKER_HOST is {chosen}, and no Docker daemon answers there",
                    "start that daemon, or unset DOCKER_HOST to use this machine's own",
                )
            if context.shell.which("dockerd") is None and not _systemd_unit(context):
                apt.install(context, "docker.io", "ca-certificates")
                done.append("installed docker.io")
            done.append(start(context))
        if builder(context) is None and not _pulumi_builds(context):
            raise SetupError(
                "no docker client on this machine can build with BuildKit",
                "install Docker's buildx plugin (package docker-buildx-plugin or docker-buildx), then try again",
            )
        return ", ".join(done)


def daemon(context: Context) -> str | None:
    """The address of a daemon that answers, and notes it in `exports` where it is not the default.

    Raises:
        SetupError: when the daemon is there but this user may not use it.
    """
    chosen = context.shell.environment.get("DOCKER_HOST")
    if not chosen and _answers(SOCKET):
        return f"unix://{SOCKET}"
    if chosen and chosen.startswith("unix://"):
        return chosen if _answers(Path(chosen.removeprefix("unix://"))) else None
    if context.shell.which("docker") is None:
        return None
    if not chosen:
        # Docker Desktop and rootless Docker listen elsewhere and say so in the client's context.
        inspected = context.shell.run("docker", "context", "inspect", "-f", "{{.Endpoints.docker.Host}}", limit=5)
        chosen = inspected.output.strip() if inspected.ok else ""
        if not chosen or chosen == f"unix://{SOCKET}":
            return None
    if not context.shell.run("docker", "-H", chosen, "version", "-f", "{{.Server.Version}}", limit=5).ok:
        return None
    context.exports["DOCKER_HOST"] = chosen
    return chosen


def _answers(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as client:
            client.settimeout(5)
            client.connect(str(path))
            client.sendall(b"GET /_ping HTTP/1.0\r\nHost: docker\r\n\r\n")
            return b" 200 " in client.recv(64)
    except PermissionError as error:
        raise SetupError(
            f"this user may not use the Docker daemon at {path}",
            "add the user to the group docker (usermod -aG docker USER as root), log in again, then try again",
        ) from error
    except OSError:
        return False


def builder(context: Context) -> str | None:
    """The first docker client on PATH that can build with BuildKit.

    Where the first client on PATH cannot, the capable one is linked into `.berth/bin`, which
    `.berth/env` puts in front.
    """
    link = context.home / "bin" / "docker"
    # Called from `make`, which has sourced `.berth/env`, the link itself comes first and must not hide its target.
    for position, client in enumerate(context.shell.every("docker", but=link.parent)):
        if not _builds(context, client):
            continue
        if position == 0:
            link.unlink(missing_ok=True)
        elif not link.exists() or os.path.realpath(link) != os.path.realpath(client):
            link.parent.mkdir(parents=True, exist_ok=True)
            link.unlink(missing_ok=True)
            link.symlink_to(client)
        return client
    return None


def _builds(context: Context, client: str) -> bool:
    version = re.search(r"version (\d+)\.", context.shell.run(client, "--version", limit=10).output)
    if version is None:
        return False
    if int(version.group(1)) < BUILDX_SINCE:
        return True
    return context.shell.run(client, "buildx", "version", limit=10).ok


def _pulumi_builds(context: Context) -> bool:
    """Pulumi's own Docker plugin brings its own BuildKit client."""
    if context.shell.environment.get("BERTH_ENGINE") == "embedded":
        return False
    own = context.venv / "bin" / "pulumi"
    return any(Path(path) != own for path in context.shell.every("pulumi"))


def _systemd() -> bool:
    return Path("/run/systemd/system").is_dir()


def _systemd_unit(context: Context) -> bool:
    return _systemd() and context.shell.run("systemctl", "cat", "docker.service", limit=10).ok


def start(context: Context) -> str:
    """Start the installed daemon and wait until it answers."""
    shell = context.shell
    if _systemd():
        context.note("starting the Docker service")
        shell.must(
            "the Docker service could not be started",
            "see journalctl -u docker, then try again",
            *shell.as_root("systemctl", "start", "docker"),
            limit=START_LIMIT,
        )
        _wait(context, None)
        return "started the Docker service"
    dockerd = shell.which("dockerd")
    if dockerd is None:
        raise SetupError("Docker is not running, and there is no dockerd to start", "start Docker, then try again")
    context.note("starting dockerd")
    remove_stale_rules(context)
    command = shell.as_root(dockerd, "--group", str(os.getgid()))
    for file in PID_FILES:
        remove_stale_pid(context, file)
    context.home.mkdir(exist_ok=True)
    log = context.home / "dockerd.log"
    shell.spawn(*command, log=log)
    _wait(context, log)
    return "started dockerd"


def remove_stale_pid(context: Context, file: Path) -> None:
    """Remove a pid file whose process is gone, or whose number another program has now."""
    try:
        pid = int(file.read_text().strip() or 0)
    except (OSError, ValueError):
        pid = 0
    if not file.exists():
        return
    try:
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        name = ""
    if name not in ("dockerd", "containerd"):
        context.shell.run(*context.shell.as_root("rm", "-f", str(file)))


def remove_stale_rules(context: Context) -> None:
    """Remove packet filter rules of bridges that are gone, left by a daemon that was killed and knows no more of them.

    They concern everything that is not on that bridge: a network that has its addresses now would be masqueraded
    inside, so that nobody there could tell who asks.
    """
    shell = context.shell
    for table, chain, direction in BRIDGE_RULES:
        listed = shell.run(*shell.as_root("iptables", "-t", table, "-S", chain), limit=10)
        for line in listed.output.splitlines() if listed.ok else ():
            named = re.search(rf"! {direction} (br-[0-9a-f]{{12}}) ", line)
            if named and line.startswith("-A ") and not (INTERFACES / named[1]).exists():
                context.note(f"removing a rule of {named[1]}, which is gone")
                shell.run(*shell.as_root("iptables", "-t", table, "-D", *line.split()[1:]), limit=10)


def _wait(context: Context, log: Path | None) -> None:
    deadline = time.monotonic() + START_LIMIT
    while time.monotonic() < deadline:
        if daemon(context) is not None:
            return
        time.sleep(0.2)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-20:]) if log and log.exists() else ""
    raise SetupError(
        f"the Docker daemon did not answer within {START_LIMIT:g} s",
        f"read {log}, put right what it says, then try again" if log else "see journalctl -u docker",
        tail,
    )
