"""HAProxy with the owners that one connection to the node told: started complete, changed by its runtime socket.

A command that it refuses, or an end of it, ends the connection: the gateway then begins anew with all owners, so that
it is never open with a map that it is not sure of.
"""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from berth.kit.logging import get_logger
from berth.vpn.gateway.errors import ProxyFailed

map_name: Final = "owners.map"
socket_name: Final = "haproxy.sock"
_together: Final = 50  # commands on one line, which has to fit into HAProxy's buffer of 16 KiB
_start: Final = 10.0  # seconds
_answer: Final = 5.0
_grace: Final = 6.0  # seconds for open requests; its configuration ends them after 5
_one: Final = re.compile(r"^(?=0x[0-9a-f]+: )", re.MULTILINE)
_session: Final = re.compile(r"^(0x[0-9a-f]+): proto=\S+ src=(\S+):\d+ ", re.MULTILINE)


class Runtime:
    """HAProxy's runtime socket."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, command: str) -> str:
        """What it answers; ProxyFailed where it does not."""
        answer = bytearray()
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
                connection.settimeout(_answer)
                connection.connect(str(self._path))
                connection.sendall(command.encode() + b"\n")
                while more := connection.recv(65536):
                    answer += more
        except OSError as error:
            raise ProxyFailed(f"HAProxy's runtime socket does not answer: {error}") from None
        return answer.decode()

    def tell(self, commands: Sequence[str]) -> None:
        """Commands that answer nothing where they succeed; ProxyFailed says what one of them answered."""
        for at in range(0, len(commands), _together):
            said = self.ask("; ".join(commands[at : at + _together])).strip()
            if said:
                raise ProxyFailed(f"HAProxy refused a command: {said[:200]}")

    def close_sessions(self, addresses: set[str]) -> int:
        """Ends what is open from these addresses; how many there were."""
        found = [match[1] for match in _session.finditer(self.ask("show sess")) if match[2] in addresses]
        for each in found:
            # One that ended meanwhile is no fault.
            self.ask(f"shutdown session {each}")
        return len(found)

    def close_to(self, address: str) -> int:
        """Ends what is open to the lease at this address; how many there were."""
        leads = re.compile(rf"\bserver=any .*\baddr={re.escape(address)}:")
        ended = 0
        for shown in _one.split(self.ask("show sess all")):
            if leads.search(shown):
                self.ask(f"shutdown session {shown.partition(':')[0]}")
                ended += 1
        return ended


class Proxy:
    """A HAProxy of its own for each connection to the node; a context manager that ends it.

    ``listeners``: file descriptors by the name that the configuration has for them; ``owners``: address -> owner, which
    is a pass with its holder.
    """

    def __init__(self, config: Path, run_dir: Path, listeners: Mapping[str, int], owners: Mapping[str, str]) -> None:
        self._config, self._map, self.runtime = config, run_dir / map_name, Runtime(run_dir / socket_name)
        self._socket = run_dir / socket_name
        self._listeners, self._owners = listeners, dict(owners)
        self._process: subprocess.Popen[bytes] | None = None
        self.closed = 0
        """How many sessions were ended because their address is another's now."""
        self._log = get_logger("proxy")

    def __enter__(self) -> Self:
        self._map.write_text("".join(f"{address} {owner}\n" for address, owner in self._owners.items()))
        self._socket.unlink(missing_ok=True)
        environment = {**os.environ, **{name: f"fd@{number}" for name, number in self._listeners.items()}}
        self._process = subprocess.Popen(
            ["haproxy", "-db", "-f", str(self._config)],
            env=environment,
            pass_fds=tuple(self._listeners.values()),
            stdin=subprocess.DEVNULL,
        )
        try:
            self._await()
        except BaseException:
            self._end(signal.SIGKILL)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Told to stop, it lets open requests end; without the node, nobody could say any more whose they are.
        self._end(signal.SIGTERM if kind is not None else signal.SIGUSR1)

    def __len__(self) -> int:
        return len(self._owners)

    def check(self) -> None:
        """ProxyFailed where it ended."""
        status = self._process.poll() if self._process is not None else None
        if status is not None:
            raise ProxyFailed(f"HAProxy ended with {status}; its reason is in the log above")

    def change(self, owned: Mapping[str, str | None]) -> None:
        """Address -> owner, None where it is nobody's any more.  Who had the address before is cut off."""
        commands, lost = [], set[str]()
        for address, owner in owned.items():
            before = self._owners.get(address)
            if owner == before:
                continue
            if before is not None:
                lost.add(address)
            if owner is None:
                del self._owners[address]
                commands.append(f"del map {self._map} {address}")
            else:
                self._owners[address] = owner
                commands.append(f"{'add' if before is None else 'set'} map {self._map} {address} {owner}")
        self.runtime.tell(commands)
        if lost:
            # After the map: whatever began before it is found here.
            ended = self.runtime.close_sessions(lost)
            self.closed += ended
            self._log.info("addresses are another's now, or nobody's", addresses=len(lost), sessions=ended)

    def _await(self) -> None:
        deadline = time.monotonic() + _start
        while True:
            self.check()
            try:
                self.runtime.ask("show info")
            except ProxyFailed:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.02)
            else:
                return

    def _end(self, how: signal.Signals) -> None:
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(how)
        try:
            process.wait(_grace)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
