"""Processes beside the engine: the Pulumi program, and servers of gRPC (dynamic providers, policy packs)."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, Literal

import grpc

from engine.deploy.launcher import already_shown
from engine.deploy.options import Job
from engine.events import Diagnostic, Emit
from engine.provider import ProviderError

channel_options: Final = [("grpc.max_receive_message_length", 400 * 1024 * 1024)]
_launcher: Final = Path(__file__).with_name("launcher.py")


def environment(job: Job) -> dict[str, str]:
    """What the SDK reads from the environment, in the program's process and in its providers'."""
    own = {f"PULUMI_{name.upper()}": value for name, value in job.names.items()}
    keys = json.dumps(job.secret_keys)
    return {**os.environ, **own, "PULUMI_CONFIG": json.dumps(job.plain_config), "PULUMI_CONFIG_SECRET_KEYS": keys}


class Child:
    """``launcher.py <mode> <settings>`` in ``directory``, which its imports come from first."""

    def __init__(
        self, python: Path, mode: str, settings: dict[str, Any], directory: Path, environ: dict[str, str], emit: Emit
    ) -> None:
        self._emit = emit
        self.process = subprocess.Popen(
            [str(python), "-u", str(_launcher), mode, json.dumps({**settings, "path": str(directory)})],
            cwd=directory,
            env=environ,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is for the engine, which lets running steps finish
        )

    def pass_on(self, name: Literal["stdout", "stderr"], held: Callable[[str], bool] | None = None) -> threading.Thread:
        """Report each line from now on, but those that are ``held`` back."""

        def read() -> None:
            for line in getattr(self.process, name):
                if held is None or not held(line):
                    self._emit(Diagnostic("info", line.rstrip("\n"), stream=name))

        thread = threading.Thread(target=read, daemon=True)
        thread.start()
        return thread

    def close(self) -> None:
        self.process.kill()  # it holds nothing that has to be put away
        self.process.wait()


class Language(Child):
    """The running program; ``ended`` is called once, when it ended and all its output was passed on.

    It gets None when the program succeeded, else why not ("" when the program said so itself).
    """

    def __init__(self, job: Job, address: str, ended: Callable[[str | None], None]) -> None:
        program, preview = job.program, job.options.preview
        known = {"monitor": address, "engine": address, "root_directory": str(program.root), "dry_run": preview}
        settings = {
            "settings": {**known, **job.names, "parallel": job.options.parallel},
            "entry": str(program.main),
            "root": str(program.root),
            "debug": job.options.debug,
        }
        environ = {**environment(job), "PULUMI_DRY_RUN": str(preview).lower()}
        super().__init__(program.python, "program", settings, program.directory, environ, job.emit)
        self._ended, self._readers = ended, [self.pass_on("stdout"), self.pass_on("stderr")]
        threading.Thread(target=self._wait, daemon=True).start()

    def _wait(self) -> None:
        code = self.process.wait()
        for reader in self._readers:
            reader.join(5)  # a grandchild may hold the pipe open
        said = "" if code == already_shown else f"the program exited with code {code}"
        self._ended(said if code else None)


class Server(Child):
    """``python -m <command>``; started at once, waited for when it is first called.

    ``what`` names it in errors.  Its first line on standard output is its port; what it prints later is passed on.
    """

    def __init__(
        self, what: str, job: Job, command: list[str], python: Path, directory: Path, more: dict[str, str]
    ) -> None:
        environ = {**environment(job), **more}
        super().__init__(python, command[0], {"arguments": command[1:]}, directory, environ, job.emit)
        self._what, self._lock = what, threading.Lock()
        self._stub: Any = None
        self._channel: grpc.Channel | None = None
        self._errors: list[str] = []
        self._reader = self.pass_on("stderr", self._held)

    def _held(self, line: str) -> bool:
        if self._stub is None:
            self._errors.append(line)
        return self._stub is None

    def stub(self, kind: Callable[[grpc.Channel], Any]) -> Any:
        """The client (``kind`` makes it).  Raises ProviderError when the process did not start."""
        with self._lock:
            if self._stub is None:
                assert self.process.stdout is not None
                line = self.process.stdout.readline().strip()
                if not line.isdigit():
                    self.close()
                    self._reader.join(1)
                    reason = "".join(self._errors).strip() or f"it said {line!r} instead of its port"
                    raise ProviderError(f"{self._what} did not start: {reason}")
                self._channel = grpc.insecure_channel(f"127.0.0.1:{line}", options=channel_options)
                self._stub = kind(self._channel)
                self.pass_on("stdout")
            return self._stub

    def close(self) -> None:
        if self._channel is not None:
            self._channel.close()
        super().close()
