"""A container's life after its creation: files put into it, start, health, the end of a one-shot job."""

from __future__ import annotations

import base64
import binascii
import io
import re
import tarfile
import time
from pathlib import Path

from engine.docker.client import Client, DaemonError, Json
from engine.model import PropertyMap
from engine.provider import Log, ProviderError

poll_seconds = 0.25
told_lines = 20
_CONTENTS = ("content", "contentBase64", "source")


class RunFailed(Exception):
    """The container is there, but does not run as asked; the message is for people."""


def valid_upload(upload: PropertyMap) -> str | None:
    """What is wrong with an entry of ``uploads``, or None."""
    given = [name for name in _CONTENTS if upload.get(name)]
    if len(given) != 1:
        return f"needs exactly one of content, contentBase64 and source for {upload.get('file')}"
    if given == ["contentBase64"]:
        try:
            base64.b64decode(upload["contentBase64"], validate=True)
        except (binascii.Error, ValueError):
            return f"has a contentBase64 that is not base64 for {upload.get('file')}"
    return None


def archive(uploads: list[PropertyMap], root: Path) -> bytes:
    """A tar of the files, with the modes that were asked for.  Raises ProviderError for an unreadable source."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for upload in sorted(uploads, key=lambda entry: str(entry["file"])):
            if upload.get("source"):
                try:
                    content = (root / upload["source"]).read_bytes()
                except OSError as error:
                    raise ProviderError(f"the file to upload as {upload['file']} cannot be read: {error}") from error
            elif upload.get("contentBase64"):
                content = base64.b64decode(upload["contentBase64"])
            else:
                content = upload["content"].encode()
            entry = tarfile.TarInfo(upload["file"].lstrip("/"))
            entry.size, entry.mtime = len(content), int(time.time())
            entry.mode = int(upload["permissions"], 8) if upload.get("permissions") else 0o644
            if upload.get("executable") and not upload.get("permissions"):
                entry.mode = 0o744
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def upload_files(client: Client, id: str, uploads: list[PropertyMap], root: Path) -> None:
    try:
        client.call("PUT", f"/containers/{id}/archive", query={"path": "/"}, data=archive(uploads, root))
    except DaemonError as error:
        files = ", ".join(sorted(entry["file"] for entry in uploads))
        if "read-only" in error.message:
            raise ProviderError(
                f"{files} cannot be uploaded: Docker puts no files into a container whose root file system is "
                "read-only. What to do: leave out readOnly, or bring the files on a volume."
            ) from error
        raise ProviderError(f"{files} cannot be uploaded: {error.message}") from error


def start(client: Client, id: str, name: str) -> None:
    """Start it; raises ProviderError with what stands in the way."""
    try:
        client.call("POST", f"/containers/{id}/start")
    except DaemonError as error:
        raise ProviderError(f"container {name} cannot be started: {_start_problem(error.message)}") from error


def _start_problem(message: str) -> str:
    if "already in use" in message or "already allocated" in message:
        address = re.search(r"(?:listen \w+|Bind for) (\S+:\d+)", message)
        if address:
            return (
                f"port {address[1].rstrip(':')} is in use by another program or container. "
                "What to do: stop that one (docker ps, ss -ltnp), or set another port."
            )
    if "executable file not found" in message or "no such file or directory" in message:
        return f"{message}. What to do: check command and entrypoints against what the image holds."
    return message


def inspect(client: Client, id: str, name: str) -> Json:
    shown = client.find(f"/containers/{id}/json")
    if shown is None:
        raise ProviderError(f"container {name} vanished; somebody removed it. What to do: refresh, then run again.")
    return shown


def is_running(shown: Json) -> bool:
    return bool(shown["State"]["Running"])


def wait_healthy(client: Client, id: str, inputs: PropertyMap, seconds: float, log: Log) -> None:
    """Wait for the first good health check, at most ``waitTimeout``.  Raises RunFailed."""
    name = inputs["name"]
    seconds = min(seconds, float(inputs.get("waitTimeout", 60)))
    deadline = time.monotonic() + seconds
    while True:
        shown = inspect(client, id, name)
        state = shown["State"]
        health = state.get("Health")
        if health is None and is_running(shown):
            raise RunFailed(
                f"container {name} has no health check to wait for. What to do: add 'healthcheck' or leave out 'wait'."
            )
        if health is not None and health["Status"] == "healthy":
            return
        if not is_running(shown) and inputs.get("restart", "no") == "no":
            raise RunFailed(_ended(client, id, name, state))
        if time.monotonic() > deadline:
            status = health["Status"] if health else state["Status"]
            raise RunFailed(
                f"container {name} did not become healthy within {seconds:.0f} s (it is {status})."
                f"{_last_check(health)}{_tail(client, id)}"
            )
        log("info", f"waiting for health: {health['Status'] if health else state['Status']}", True)
        time.sleep(poll_seconds)


def wait_exit(client: Client, id: str, inputs: PropertyMap, seconds: float, log: Log) -> None:
    """Wait for the end of a one-shot job.  Raises RunFailed when it fails or takes too long."""
    name = inputs["name"]
    deadline = time.monotonic() + seconds
    next_line = time.monotonic() + 1.0
    while is_running(shown := inspect(client, id, name)):
        if time.monotonic() > deadline:
            raise RunFailed(f"job {name} did not end within {seconds:.0f} s; it is still running.{_tail(client, id)}")
        if time.monotonic() > next_line:
            log("info", client.logs(id, 1).strip() or "running", True)
            next_line = time.monotonic() + 1.0
        time.sleep(poll_seconds)
    if shown["State"]["ExitCode"] != 0:
        raise RunFailed(_ended(client, id, name, shown["State"]))


def check_running(client: Client, id: str, inputs: PropertyMap) -> None:
    """Tell when a container that should run ended at once.  Raises RunFailed."""
    shown = inspect(client, id, inputs["name"])
    if not is_running(shown) and inputs.get("restart", "no") == "no":
        raise RunFailed(_ended(client, id, inputs["name"], shown["State"]))


def _ended(client: Client, id: str, name: str, state: Json) -> str:
    why = "ran out of memory and was killed" if state.get("OOMKilled") else f"ended with exit code {state['ExitCode']}"
    error = f": {state['Error']}" if state.get("Error") else ""
    return f"container {name} {why}{error}.{_last_check(state.get('Health'))}{_tail(client, id)}"


def _last_check(health: Json | None) -> str:
    checks = (health or {}).get("Log") or []
    if not checks:
        return ""
    last = checks[-1]
    return f" Last health check (exit code {last['ExitCode']}): {last['Output'].strip() or 'no output'}."


def _tail(client: Client, id: str) -> str:
    lines = client.logs(id, told_lines).rstrip().splitlines()
    if not lines:
        return " It logged nothing."
    return " Last lines of its log:\n" + "\n".join(f"  {line}" for line in lines)
