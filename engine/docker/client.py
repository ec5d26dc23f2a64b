"""The Docker daemon's HTTP API, the only place that knows docker-py.

Paths and bodies are those of the Docker Engine API (https://docs.docker.com/reference/api/engine/).
docker-py gives the transport (socket, TLS, SSH), version negotiation, registry credentials and the
splitting of log streams.  Values are plain JSON.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import docker
import docker.errors
import docker.tls
import requests

from engine.provider import ProviderError

Json = dict[str, Any]

default_host = "unix:///var/run/docker.sock"
connect_seconds = 10.0
call_seconds = 60.0
change_seconds = 300.0  # creating a container may copy an image's files into a volume
pull_idle_seconds = 30.0


class DaemonError(Exception):
    """The daemon refused a call: its HTTP status and its own words."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status, self.message = status, message


@dataclass(frozen=True)
class Settings:
    """Where the daemon is.  ``host`` empty: DOCKER_HOST, else the usual sockets.

    ``registries`` maps a registry's address to ``{"username", "password"}``.
    """

    host: str = ""
    cert_path: str = ""
    registries: dict[str, dict[str, str]] = field(default_factory=dict)

    def candidates(self) -> list[str]:
        """Addresses to try, first the likeliest; only one when it was chosen by somebody."""
        chosen = self.host or os.environ.get("DOCKER_HOST", "")
        if chosen:
            return [chosen]
        # Docker Desktop and rootless daemons keep their sockets elsewhere.
        homes = [Path.home() / ".docker/run/docker.sock", Path.home() / ".docker/desktop/docker.sock"]
        runtime = os.environ.get("XDG_RUNTIME_DIR")
        if runtime:
            homes.append(Path(runtime) / "docker.sock")
        return [default_host, *(f"unix://{path}" for path in homes if path.exists())]


class Client:
    """Calls to one daemon; connects on first use, safe to use from several threads."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._lock = threading.Lock()
        self._local = threading.local()
        self._connections: list[Any] = []
        self._host = ""
        self._version = ""

    @property
    def host(self) -> str:
        """The address of the daemon that answered."""
        self._connect()
        return self._host

    @property
    def api_version(self) -> tuple[int, int]:
        self._connect()
        major, minor = self._version.split(".")
        return int(major), int(minor)

    def close(self) -> None:
        with self._lock:
            for connection in self._connections:
                connection.close()
            self._connections.clear()
            self._local = threading.local()

    # --- connection ---------------------------------------------------------------------------------

    def _connect(self) -> None:
        with self._lock:
            if self._host:
                return
            problems: list[str] = []
            for host in self.settings.candidates():
                try:
                    api = self._open(host, "auto", connect_seconds)
                except (docker.errors.DockerException, requests.RequestException, OSError, ValueError) as error:
                    problems.append(unreachable(host, error))
                    continue
                self._host, self._version = host, str(api.api_version)
                api.close()
                return
        raise ProviderError(problems[0])

    def _open(self, host: str, version: str, timeout: float) -> Any:
        directory = self.settings.cert_path or (
            os.environ.get("DOCKER_CERT_PATH", "") if os.environ.get("DOCKER_TLS_VERIFY") else ""
        )
        tls: Any = False
        if directory and host.startswith(("tcp://", "https://")):
            certs = Path(directory)
            tls = docker.tls.TLSConfig(
                client_cert=(str(certs / "cert.pem"), str(certs / "key.pem")),
                ca_cert=str(certs / "ca.pem"),
                verify=True,
            )
        ssh = host.startswith("ssh://")
        return docker.APIClient(base_url=host, version=version, tls=tls, timeout=timeout, use_ssh_client=ssh)

    def _api(self) -> Any:
        """This thread's connection: a session must not be shared between threads."""
        self._connect()
        api = getattr(self._local, "api", None)
        if api is None:
            api = self._open(self._host, self._version, call_seconds)
            self._local.api = api
            with self._lock:
                self._connections.append(api)
        return api

    def call(
        self,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        query: Json | None = None,
        data: bytes | None = None,
        timeout: float = 0.0,
    ) -> Any:
        """One API call; the decoded answer (None without one).  Raises DaemonError, ProviderError when down."""
        api = self._api()
        timeout = timeout or (call_seconds if method == "GET" else change_seconds)
        headers = {"Content-Type": "application/x-tar"} if data is not None else {}
        try:
            answer = api.request(
                method, f"{api.base_url}/v{self._version}{path}", params=query, json=body, data=data, headers=headers,
                timeout=timeout,
            )  # fmt: skip
        except requests.RequestException as error:
            raise ProviderError(unreachable(self._host, error)) from error
        if answer.status_code >= 400:
            try:
                message = str(answer.json()["message"])
            except (ValueError, KeyError, TypeError):
                message = answer.text.strip() or answer.reason
            raise DaemonError(answer.status_code, message)
        return answer.json() if answer.content and "json" in answer.headers.get("Content-Type", "") else None

    def find(self, path: str) -> Json | None:
        """An object, or None when the daemon says that there is none.  Other failures are raised."""
        try:
            found: Json = self.call("GET", path)
        except DaemonError as error:
            if error.status == 404:
                return None
            raise ProviderError(f"Docker could not show {path}: {error.message}") from error
        return found

    # --- what is more than one call -----------------------------------------------------------------

    def logs(self, container: str, tail: int | None = None) -> str:
        """What the container wrote (both streams), the last ``tail`` lines or all."""
        try:
            raw = self._api().logs(container, stdout=True, stderr=True, tail="all" if tail is None else tail)
        except docker.errors.APIError as error:
            return f"(its logs cannot be read: {error.explanation})"
        except requests.RequestException as error:
            raise ProviderError(unreachable(self._host, error)) from error
        return bytes(raw).decode("utf-8", "replace")

    def pull(self, name: str, platform: str, progress: Callable[[str], None], seconds: float) -> None:
        """Fetch an image.  Fails after ``pull_idle_seconds`` without a sign of life, or ``seconds`` in all."""
        self._connect()
        api = self._open(self._host, self._version, pull_idle_seconds)
        auth = self._credentials(name)
        tag = None if "@" in name or ":" in name.rsplit("/", 1)[-1] else "latest"
        deadline = time.monotonic() + seconds
        try:
            answers: Iterator[Json] = api.pull(
                name, tag=tag, stream=True, decode=True, auth_config=auth, platform=platform or None
            )
            for answer in answers:
                if "error" in answer:
                    raise ProviderError(pull_problem(name, str(answer["error"])))
                progress(" ".join(str(answer[key]) for key in ("id", "status", "progress") if answer.get(key)))
                if time.monotonic() > deadline:
                    raise ProviderError(f"pulling image {name} took longer than {seconds:.0f} s")
        except docker.errors.APIError as error:
            raise ProviderError(pull_problem(name, str(error.explanation))) from error
        except (requests.RequestException, OSError) as error:
            raise ProviderError(pull_problem(name, f"no answer within {pull_idle_seconds:.0f} s ({error})")) from error
        finally:
            api.close()

    def _credentials(self, name: str) -> dict[str, str] | None:
        registry = name.split("/", 1)[0] if "/" in name else ""
        for address, account in self.settings.registries.items():
            if address.removeprefix("https://").removeprefix("http://").split("/")[0] == registry:
                return account
        return None  # docker-py then takes the ones of the user's own Docker configuration


def unreachable(host: str, error: Exception) -> str:
    """One message for a daemon that cannot be talked to: what, where, what to do."""
    text = str(error)
    if "Permission denied" in text or "PermissionError" in text:
        reason, advice = "permission denied", "add your user to the group 'docker' (and log in again), or use sudo"
    elif "timed out" in text or "Timeout" in type(error).__name__:
        reason, advice = "no answer in time", "look whether the daemon is busy or its host is down"
    elif "FileNotFoundError" in text or "No such file" in text:
        reason, advice = "no such socket", "start it (sudo systemctl start docker), or set DOCKER_HOST"
    elif "ConnectionRefused" in text or "Connection refused" in text:
        reason, advice = "connection refused", "start it (sudo systemctl start docker), or set DOCKER_HOST"
    else:
        reason, advice = text, "check the address (docker:host or DOCKER_HOST) and the daemon"
    return f"the Docker daemon at {host} cannot be reached: {reason}. What to do: {advice}."


def pull_problem(name: str, reason: str) -> str:
    low = reason.lower()
    if any(hint in low for hint in ("no such host", "timeout", "refused", "no answer", "deadline", "unreachable")):
        why, advice = "its registry cannot be reached", "check the network or proxy, or load the image beforehand"
    elif "denied" in low or "unauthorized" in low:
        why, advice = "no such repository, or it needs a login", "check the name, or run docker login"
    elif "not found" in low or "manifest unknown" in low:
        why, advice = "the registry has no such image", "check its name and tag"
    else:
        why, advice = "the daemon could not fetch it", "check its name and the registry"
    return f"image {name} cannot be pulled: {why} ({reason}). What to do: {advice}."
