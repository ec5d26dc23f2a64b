"""Starts the Python program in a process of its own and passes on what it prints."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path
from typing import IO, Final, Literal

from engine.deploy.launcher import already_shown
from engine.deploy.options import Options, Program
from engine.events import Diagnostic, Emit
from engine.model import Secret

launcher: Final = Path(__file__).with_name("launcher.py")
channel_options: Final = [("grpc.max_receive_message_length", 400 * 1024 * 1024)]


def environment(program: Program, config: dict[str, str | Secret]) -> dict[str, str]:
    """What the SDK reads from the environment, in the program's process and in its providers'."""
    plain = {key: value.value if isinstance(value, Secret) else value for key, value in config.items()}
    secrets = [key for key, value in config.items() if isinstance(value, Secret)]
    return {
        **os.environ,
        "PULUMI_PROJECT": program.project,
        "PULUMI_STACK": program.stack,
        "PULUMI_ORGANIZATION": program.organization,
        "PULUMI_CONFIG": json.dumps(plain),
        "PULUMI_CONFIG_SECRET_KEYS": json.dumps(secrets),
    }


class Language:
    """The running program; ``ended`` is called once, when it ended and all its output was passed on.

    It gets None when the program succeeded, else why not ("" when the program said so itself).
    """

    def __init__(
        self,
        program: Program,
        config: dict[str, str | Secret],
        options: Options,
        address: str,
        emit: Emit,
        ended: Callable[[str | None], None],
    ) -> None:
        settings = {
            "settings": {
                "monitor": address,
                "engine": address,
                "project": program.project,
                "stack": program.stack,
                "organization": program.organization,
                "root_directory": str(program.root),
                "parallel": options.parallel,
                "dry_run": options.preview,
            },
            "entry": str(program.main),
            "path": str(program.directory),
            "root": str(program.root),
            "debug": options.debug,
        }
        self._emit, self._ended = emit, ended
        self.process = subprocess.Popen(
            [str(program.python), "-u", str(launcher), "program", json.dumps(settings)],
            cwd=program.directory,
            env={**environment(program, config), "PULUMI_DRY_RUN": "true" if options.preview else "false"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # Ctrl-C is for the engine, which lets running steps finish
        )
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        streams: list[tuple[IO[str], Literal["stdout", "stderr"]]] = [
            (self.process.stdout, "stdout"),
            (self.process.stderr, "stderr"),
        ]
        self._readers = [threading.Thread(target=self._read, args=each, daemon=True) for each in streams]
        for reader in self._readers:
            reader.start()
        threading.Thread(target=self._wait, daemon=True).start()

    def _read(self, stream: IO[str], name: Literal["stdout", "stderr"]) -> None:
        for line in stream:
            self._emit(Diagnostic("info", line.rstrip("\n"), stream=name))

    def _wait(self) -> None:
        code = self.process.wait()
        for reader in self._readers:
            reader.join(5)  # a grandchild may hold the pipe open
        if code == already_shown:
            self._ended("")
        else:
            self._ended(None if code == 0 else f"the program exited with code {code}")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
