"""Creates and keeps the WireGuard interface: in the kernel where it has the module, else by wireguard-go."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from pathlib import Path
from typing import Final, Literal

from berth.kit.logging import get_logger
from berth.vpn.command import Runner
from berth.vpn.errors import CommandFailed, NodeError

Implementation = Literal["kernel", "wireguard-go"]

_start_limit: Final = 5.0  # seconds
_poll: Final = 0.01


class Interface:
    """One WireGuard interface: name, address with prefix length, port (UDP), MTU, and the file of its private key."""

    def __init__(
        self, name: str, address: str, port: int, mtu: int, private_key: Path, public_key: str, run: Runner
    ) -> None:
        self.name, self.address, self.port, self.mtu = name, address, port, mtu
        self._private_key, self._public_key, self._run = private_key, public_key, run
        self._process: subprocess.Popen[str] | None = None
        self.implementation: Implementation | None = None
        self._log = get_logger("interface")

    def ensure(self) -> bool:
        """Make the interface be there, up, with its key and port.  True where it had to be made, so without peers."""
        created = False
        try:
            self.check()
        except NodeError as finding:
            if self.implementation:
                self._log.warning("interface is made anew", reason=str(finding))
            self.remove()
            self._create()
            created = True
        if not created and self._identity() == (self._public_key, str(self.port)):
            return False
        self._run(["wg", "set", self.name, "listen-port", str(self.port), "private-key", str(self._private_key)])
        if created:
            self._run(["ip", "address", "replace", self.address, "dev", self.name])
            self._run(["ip", "link", "set", "dev", self.name, "mtu", str(self.mtu), "up"])
            self._log.info(
                "interface is up", interface=self.name, implementation=self.implementation, address=self.address
            )
        return created

    def check(self) -> str:
        """Cheap enough for every health report: the implementation where the interface is up, else NodeError."""
        if self._process is not None and self._process.poll() is not None:
            raise NodeError(f"wireguard-go has ended with status {self._process.returncode}")
        try:
            flags = int(Path(f"/sys/class/net/{self.name}/flags").read_text(), 16)
        except FileNotFoundError:
            raise NodeError(f"there is no interface {self.name}") from None
        if not flags & 1:
            raise NodeError(f"interface {self.name} is down")
        return self.implementation or "unknown"

    def remove(self) -> None:
        """Take the interface away, if it is there."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(2)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None
        if Path(f"/sys/class/net/{self.name}").exists():
            self._run(["ip", "link", "delete", "dev", self.name])

    def _identity(self) -> tuple[str, str]:
        shown = [self._run(["wg", "show", self.name, what]).strip() for what in ("public-key", "listen-port")]
        return shown[0], shown[1]

    def _create(self) -> None:
        try:
            self._run(["ip", "link", "add", "dev", self.name, "type", "wireguard"])
            self.implementation = "kernel"
        except CommandFailed as refused:
            self._log.info("kernel has no WireGuard, starting wireguard-go", reason=str(refused))
            self._start_userspace()
            self.implementation = "wireguard-go"

    def _start_userspace(self) -> None:
        if not Path("/dev/net/tun").exists():
            raise NodeError("the kernel has no WireGuard and the container has no /dev/net/tun: add the device")
        try:
            self._process = subprocess.Popen(
                ["wireguard-go", "--foreground", self.name],
                env={**os.environ, "LOG_LEVEL": "error"},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        except FileNotFoundError:
            raise NodeError("the kernel has no WireGuard and wireguard-go is not installed") from None
        threading.Thread(target=self._relay, args=(self._process,), name="wireguard-go", daemon=True).start()
        socket = Path(f"/var/run/wireguard/{self.name}.sock")
        deadline = time.monotonic() + _start_limit
        while not socket.exists():
            if self._process.poll() is not None:
                raise NodeError(
                    f"wireguard-go ended with status {self._process.returncode} at its start, see the log above"
                )
            if time.monotonic() > deadline:
                raise NodeError(f"wireguard-go made no {socket} within {_start_limit:g} s")
            time.sleep(_poll)

    def _relay(self, process: subprocess.Popen[str]) -> None:
        """wireguard-go's own words into our log; errors only, since its banner is on every start."""
        assert process.stdout is not None
        for line in process.stdout:
            if "ERROR" in line:
                self._log.error("wireguard-go", said=line.strip())
            else:
                self._log.debug("wireguard-go", said=line.strip())
