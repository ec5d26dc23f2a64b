"""Whether the node behind a server end is well: one that is not gets no clients, so that they go elsewhere."""

from __future__ import annotations

import threading
from typing import Final

import urllib3

from berth.kit.logging import get_logger
from berth.tunnel.control import Control
from berth.tunnel.errors import TunnelError

look_every: Final = 1.0  # seconds
_most_misses: Final = 3
_timeout: Final = urllib3.Timeout(connect=1.0, read=2.0)


class NodeWatch:
    """Asks ``url``/health, and opens or closes the bridge accordingly; :meth:`start` begins."""

    def __init__(self, url: str, control: Control) -> None:
        self._url, self._control = url, control
        self._pool = urllib3.PoolManager(maxsize=1, retries=False)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="node-watch", daemon=True)
        self._log = get_logger("node-watch")
        self._misses = 0
        self._fault = "it has not been asked yet"
        self.well = False

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()

    def check(self) -> str:
        """For health: RuntimeError while the node is not well."""
        if not self.well:
            raise RuntimeError(f"the node is not well, so nobody is let in: {self._fault}")
        return "well"

    def look(self) -> None:
        """Ask once, and see to it that the program does what follows from the answer."""
        fault = self._ask()
        self._misses = self._misses + 1 if fault else 0
        if fault:
            self._fault = fault
        # One answer is enough to open; to close it takes some, since that moves everybody.
        well = not fault or (self.well and self._misses < _most_misses)
        if well is not self.well:
            self._log.info("node is well" if well else "node is not well", reason=fault or None)
            self.well = well
        try:
            # Told every time: the program may be a new one, which knows nothing yet.
            self._control.accept(self.well, "" if self.well else "the node is not well")
        except TunnelError as error:
            if self.well:
                self._log.warning("the program could not be told", reason=str(error))

    def _run(self) -> None:
        while not self._stop.is_set():
            self.look()
            self._stop.wait(look_every)

    def _ask(self) -> str:
        """What is wrong, "" for nothing."""
        try:
            response = self._pool.request("GET", f"{self._url}/health", timeout=_timeout, redirect=False)
        except (urllib3.exceptions.HTTPError, OSError) as error:
            return f"its health is not to be had ({type(error).__name__})"
        return "" if response.status == 200 else f"its health answers {response.status}"
