"""A thread that answers whoever connects to a unix socket, one after another."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

from berth.kit.logging import get_logger

look: Final = 0.25  # seconds: how often it is looked whether to stop
_join: Final = 2.0


class Listener:
    """At ``path``, in a thread called ``name``; ``serve`` has each connection until it returns, or raises OSError.

    ``lost`` is what the log says then.
    """

    def __init__(
        self, path: Path, name: str, serve: Callable[[socket.socket], None], *, backlog: int, lost: str
    ) -> None:
        self._path, self._serve, self._backlog, self._lost = path, serve, backlog, lost
        self.stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._log = get_logger(name)

    def start(self) -> None:
        """Listen; OSError where the folder is not there, or not this process's to write."""
        self._path.unlink(missing_ok=True)
        self._socket.bind(str(self._path))
        # The other side is another user.  Who may come here is who has the folder.
        os.chmod(self._path, 0o666)
        self._socket.listen(self._backlog)
        self._socket.settimeout(look)
        self._thread.start()

    def stop(self) -> None:
        """Ends the thread, and waits for it."""
        self.stopping.set()
        if self._thread.is_alive():
            self._thread.join(_join)
        self._socket.close()

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._socket.accept()
            except TimeoutError:
                continue
            except OSError as error:
                self._log.error("nobody can be waited for", reason=str(error))
                return
            with connection:
                try:
                    self._serve(connection)
                except OSError as error:
                    self._log.warning(self._lost, reason=str(error))
