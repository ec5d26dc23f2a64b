"""The client end itself, ``berth-bridge udp2tcp``: a small program that needs nothing beside it."""

from __future__ import annotations

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

from berth.access.client.tunnel.bridges import Bridge
from berth.kit.client import ClientError

name: Final = "berth-bridge"
variable: Final = "BERTH_BRIDGE"
_in_image: Final = f"/usr/local/bin/{name}"
_copying: Final = 60.0  # seconds
_starting: Final = 5.0
_stopping: Final = 5.0


def find(stack: str) -> Path:
    """The program: as BERTH_BRIDGE names it, beside this Python, on PATH, or copied out of the stack's image.

    Errors: ClientError, which says how else to go about it.
    """
    if given := os.environ.get(variable, ""):
        if not os.access(given, os.X_OK):
            raise ClientError(f"{variable} is {given}, which is no program")
        return Path(given)
    beside = Path(sys.executable).parent / name
    if beside.is_file():
        return beside
    if found := shutil.which(name):
        return Path(found)
    kept = _cache() / name
    if _copy_out(f"berth/bridge:{stack}", kept) or kept.is_file():
        return kept
    raise ClientError(
        f"{name} is not here: put it on PATH or name it in {variable}. It is at {_in_image} in the image berth/bridge "
        f"(on a machine with the stack: `docker cp berth-{stack}-<bridge>:{_in_image} .`). Mullvad's udp2tcp does as "
        "well: udp2tcp --udp-listen 127.0.0.1:51888 --tcp-forward <address of a bridge>"
    )


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(home) / "berth"


def _copy_out(image: str, to: Path) -> bool:
    """Whether the program could be copied out of a local image; it is never pulled."""
    if not shutil.which("docker"):
        return False
    made = _docker("create", "--pull", "never", "--network", "none", image)
    if made is None:
        return False
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        fresh = to.with_name(f".{to.name}.new")
        copied = _docker("cp", f"{made}:{_in_image}", str(fresh)) is not None
        if copied:
            fresh.chmod(0o755)
            fresh.replace(to)
        return copied
    finally:
        _docker("rm", "--force", made)


def _docker(*arguments: str) -> str | None:
    """What the command printed; None where it failed, for whatever reason: then there are other ways."""
    try:
        done = subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False, timeout=_copying)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


class Ended(ClientError):
    """The program ended by itself."""


class Program:
    """``udp2tcp`` as a process of ours; a context manager that ends it.

    ``nudge``: an address:port inside the tunnel.  A byte goes there on each new connection, because the node sends to
    where the last fresh packet of WireGuard came from: without one it would go on sending to a bridge that is gone.

    Where it goes is in a file that only we can read, not among its arguments, and changes without a restart.

    Errors: :class:`Ended` when it does not start, or has ended.
    """

    def __init__(self, path: Path, listen: str, bridges: Sequence[Bridge], *, nudge: str = "", fwmark: int = 0) -> None:
        self._path, self._listen, self._nudge, self._fwmark = path, listen, nudge, fwmark
        self._bridges = list(bridges)
        self._folder = tempfile.TemporaryDirectory(prefix="berth-tunnel-")
        self._list = Path(self._folder.name) / "bridges.json"
        self._control = Path(self._folder.name) / "control"
        self._said: deque[str] = deque(maxlen=50)
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        self._write()
        command = [str(self._path), "udp2tcp", "--udp-listen", self._listen, "--endpoints-file", str(self._list)]
        command += ["--control", str(self._control)]
        if self._nudge:
            command += ["--nudge", self._nudge]
        if self._fwmark:
            command += ["--fwmark", str(self._fwmark)]
        try:
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,  # Ctrl-C is for us; we end it
            )
        except OSError as error:
            self._folder.cleanup()
            raise Ended(f"{self._path} does not run: {error.strerror}") from None
        threading.Thread(target=self._read, name="udp2tcp-log", daemon=True).start()
        self._await()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
            try:
                self._process.wait(_stopping)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._folder.cleanup()

    @property
    def bridges(self) -> Sequence[Bridge]:
        """Where it may go, preferred first."""
        return self._bridges

    def use(self, bridges: Sequence[Bridge]) -> bool:
        """Gives it another list; whether that is a change."""
        if list(bridges) == self._bridges:
            return False
        self._bridges = list(bridges)
        self._write()
        return True

    def stats(self) -> Mapping[str, Any]:
        """What it says of itself: ``active``, ``endpoints``, ``failovers``, ``totals``, ``connections``."""
        self._require_alive()
        try:
            connection = _UnixConnection(str(self._control))
            try:
                connection.request("GET", "/stats")
                answer = json.load(connection.getresponse())
            finally:
                connection.close()
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._require_alive()
            raise ClientError(f"the client end does not say how it is: {error}") from None
        if not isinstance(answer, dict):
            raise ClientError("the client end does not say how it is")
        return answer

    def _write(self) -> None:
        fresh = self._list.with_suffix(".new")
        fresh.write_text(json.dumps([{"address": one.endpoint, "node": one.node} for one in self._bridges]))
        fresh.replace(self._list)

    def _await(self) -> None:
        """Until it answers, or it is clear that it never will."""
        assert self._process is not None
        deadline = threading.Event()
        for _ in range(int(_starting / 0.05)):
            try:
                self.stats()
            except Ended:
                self._folder.cleanup()
                raise
            except ClientError:
                deadline.wait(0.05)
            else:
                return
        self.__exit__(None, None, None)
        raise Ended(f"{self._path} does not answer: {self._last_words()}")

    def _require_alive(self) -> None:
        assert self._process is not None, "use it as a context manager"
        if (status := self._process.poll()) is not None:
            raise Ended(f"the client end has ended with status {status}: {self._last_words()}")

    def _last_words(self) -> str:
        lines = [line for line in self._said if line]
        if not lines:
            return "it does not say why"
        try:
            said = json.loads(lines[-1])
        except ValueError:
            return lines[-1]
        return ", ".join(str(said[key]) for key in ("event", "reason", "error") if said.get(key)) or lines[-1]

    def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._said.append(line.strip())


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=2)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)
