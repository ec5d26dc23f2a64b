"""Building with the ``docker build`` client: BuildKit lives in the client, docker-py has none."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from engine.provider import ProviderError

build_seconds = 60 * 60.0
first_client_without_builder = 23  # from this version on, BuildKit is the separate plugin "buildx"
_kept_lines = 30
# Runs the client, and kills it when standard input closes: an engine that is killed closes it too.
_GUARD = """
import os, subprocess, sys, threading
client = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
threading.Thread(target=lambda: (os.read(0, 1), client.kill()), daemon=True).start()
os._exit(client.wait() & 255)
"""
_NOISE = re.compile(r"#\d+ sha256:[0-9a-f]{64}")  # the 20.10 client follows each step with its digest


@dataclass(frozen=True)
class Build:
    """One build; paths are relative to the project's root."""

    image: str
    context: str
    dockerfile: str
    args: Mapping[str, str] = field(default_factory=dict)
    target: str = ""
    platform: str = ""
    network: str = ""
    hosts: tuple[str, ...] = ()
    cache_from: tuple[str, ...] = ()
    buildkit: bool = True


def run_build(build: Build, root: Path, host: str, seconds: float, progress: Callable[[str], None]) -> str:
    """Build, and return the image's id.  Raises ProviderError with the last lines when it fails."""
    client = find_build_client() if build.buildkit else _any_client()
    with tempfile.TemporaryDirectory(prefix="engine-build-") as scratch:
        id_file = Path(scratch) / "id"
        command, environment = command_line(build, client, str(id_file), host)
        lines: deque[str] = deque(maxlen=_kept_lines)
        try:
            # A session of its own: Ctrl-C in the terminal is for the engine, which lets running steps finish.
            process = subprocess.Popen(
                [sys.executable, "-I", "-c", _GUARD, *command], cwd=root, env=environment, stdin=subprocess.PIPE,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
            )  # fmt: skip
        except OSError as error:
            raise ProviderError(f"image {build.image}: {client} cannot be started: {error}") from error
        expired = threading.Event()
        assert process.stdin is not None
        leash = process.stdin

        def expire() -> None:
            expired.set()
            leash.close()

        watch = threading.Timer(seconds, expire)
        watch.start()
        try:
            assert process.stdout is not None
            for line in process.stdout:
                text = line.rstrip()
                if text and not _NOISE.fullmatch(text):
                    lines.append(text)
                    progress(text)
            code = process.wait()
        finally:
            watch.cancel()
            leash.close()
            process.wait()
        if expired.is_set():
            raise ProviderError(f"image {build.image}: the build took longer than {seconds:.0f} s and was stopped")
        if code != 0:
            told = "\n".join(f"  {line}" for line in lines)
            raise ProviderError(f"image {build.image}: docker build of {build.dockerfile} failed ({code}):\n{told}")
        return id_file.read_text().strip()


def command_line(build: Build, client: str, id_file: str, host: str) -> tuple[list[str], dict[str, str]]:
    """The command and its environment.  Build arguments travel in the environment: others can read a command."""
    environment = {**os.environ, "DOCKER_HOST": host, "DOCKER_BUILDKIT": "1" if build.buildkit else "0"}
    environment.pop("DOCKER_CONTEXT", None)
    command = [client, "build", "--tag", build.image, "--file", build.dockerfile, "--iidfile", id_file]
    if build.buildkit:
        command += ["--progress", "plain"]
    for name, value in sorted(build.args.items()):
        if (name in os.environ and environment[name] != value) or name.startswith("DOCKER_"):
            # What the client itself needs (PATH, HOME, proxies) must not be replaced under it.
            command += ["--build-arg", f"{name}={value}"]
        else:
            environment[name] = value
            command += ["--build-arg", name]
    for option, value in (("--target", build.target), ("--platform", build.platform), ("--network", build.network)):
        command += [option, value] if value else []
    for option, values in (("--add-host", build.hosts), ("--cache-from", build.cache_from)):
        for value in values:
            command += [option, value]
    return [*command, build.context], environment


def find_build_client(path: str | None = None) -> str:
    """The first docker client on PATH that can build with BuildKit.  Raises ProviderError."""
    clients = _clients(path)
    for client in clients:
        if _can_build(client):
            return client
    if clients:
        raise ProviderError(
            f"no docker client on PATH can build images with BuildKit ({', '.join(clients)}). "
            "What to do: install the plugin docker-buildx, or a client older than 23."
        )
    raise ProviderError(
        "there is no docker client on PATH to build images with. What to do: install docker.io or docker-ce-cli."
    )


def _any_client() -> str:
    clients = _clients(None)
    return clients[0] if clients else find_build_client()


def _clients(path: str | None) -> list[str]:
    directories = (os.environ.get("PATH", os.defpath) if path is None else path).split(os.pathsep)
    found = [client for directory in directories if directory and (client := shutil.which("docker", path=directory))]
    return list(dict.fromkeys(found))


def _can_build(client: str) -> bool:
    try:
        said = subprocess.run([client, "--version"], capture_output=True, text=True, timeout=10, check=False).stdout
        version = re.search(r"version (\d+)\.", said)
        if version and int(version[1]) < first_client_without_builder:
            return True
        plugin = subprocess.run([client, "buildx", "version"], capture_output=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return plugin.returncode == 0
