"""Creates and keeps the WireGuard interface.

In the kernel where it has the module, else by the current wireguard-go that the image is built with, else by Debian's.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, Literal

from berth.kit.logging import get_logger
from berth.vpn import uapi
from berth.vpn.command import Runner
from berth.vpn.errors import CommandFailed, NodeError

Implementation = Literal["kernel", "wireguard-go", "wireguard-go (Debian)"]

_start_limit: Final = 5.0  # seconds
answer_limit: Final = 5.0  # seconds; a wireguard-go that does not say who it is within them hangs
_poll: Final = 0.01


class Interface:
    """One WireGuard interface: name, addresses with prefix length, port (UDP), MTU, and the file of its private key."""

    def __init__(
        self,
        name: str,
        addresses: Sequence[str],
        port: int,
        mtu: int,
        private_key: Path,
        public_key: str,
        run: Runner,
        socket: uapi.Uapi | None = None,
    ) -> None:
        self.name, self.addresses, self.port, self.mtu = name, tuple(addresses), port, mtu
        self._private_key, self._public_key, self._run = private_key, public_key, run
        self._socket = socket or uapi.Uapi(name, seconds=answer_limit)
        self._process: subprocess.Popen[str] | None = None
        self.implementation: Implementation | None = None
        """What carries the tunnel; None before there was an interface."""
        self.version = ""
        """Of the implementation: the kernel's, the Go module's, or Debian's package's."""
        self._log = get_logger("interface")

    def ensure(self) -> bool:
        """Make the interface be there, up, with its key and port.  True where it had to be made, so without peers."""
        created = False
        try:
            self.check()
            identity = self._identity()
        except NodeError as finding:
            if self.implementation:
                self._log.warning("interface is made anew", reason=str(finding))
            self.remove()
            self._create()
            created, identity = True, ("", 0)
        if self.implementation is None:
            # It outlived the agent before us, and its peers kept their sessions.
            self._recognize()
            self._log.info("interface is taken over", interface=self.name, implementation=self.implementation)
        if identity != (self._public_key, self.port):
            self._run(["wg", "set", self.name, "listen-port", str(self.port), "private-key", str(self._private_key)])
        if created or self._settings_amiss():
            self._configure()
        if created:
            self._log.info(
                "interface is up",
                interface=self.name,
                implementation=self.implementation,
                version=self.version,
                addresses=self.addresses,
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

    def verify(self) -> str:
        """As :meth:`check`, and that key, port, addresses and MTU are as they were set; for who looks now and then."""
        found = self.check()
        if self._identity() != (self._public_key, self.port):
            raise NodeError(f"the key or the port of {self.name} was changed by hand")
        if amiss := self._settings_amiss():
            raise NodeError(f"{amiss} of {self.name} was changed by hand")
        return found

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
        elif process := self._socket.process():
            os.kill(process, signal.SIGKILL)
        self._socket.path.unlink(missing_ok=True)
        if Path(f"/sys/class/net/{self.name}").exists():
            self._run(["ip", "link", "delete", "dev", self.name])

    def _identity(self) -> tuple[str, int]:
        """The public key and the port; of our own wireguard-go without reading the peers as well."""
        if self._socket.ours():
            return self._socket.identity()
        shown = [self._run(["wg", "show", self.name, what]).strip() for what in ("public-key", "listen-port")]
        return shown[0], int(shown[1])

    def _configure(self) -> None:
        """Addresses and MTU, and up: those that are not ours go, ours that are there are not touched."""
        there = self._there()["addresses"]
        for address in there - set(self.addresses):
            self._run(["ip", "address", "delete", address, "dev", self.name])
        for address in self.addresses:
            if address not in there:
                # Without duplicate address detection, for which there is nobody in a tunnel.
                more = ["nodad"] if ":" in address else []
                self._run(["ip", "address", "replace", address, "dev", self.name, *more])
        self._run(["ip", "link", "set", "dev", self.name, "mtu", str(self.mtu), "up"])

    def _settings_amiss(self) -> str:
        """What is not as set: "an address", "the MTU", or nothing."""
        there = self._there()
        if there["addresses"] != set(self.addresses):
            return "an address"
        return "" if there["mtu"] == self.mtu else "the MTU"

    def _there(self) -> dict[str, Any]:
        links = json.loads(self._run(["ip", "-json", "address", "show", "dev", self.name]) or "[]")
        found = [one for one in links if one.get("ifname") == self.name]
        if not found:
            raise NodeError(f"there is no interface {self.name}")
        addresses = {
            f"{one['local']}/{one['prefixlen']}"
            for one in found[0].get("addr_info", [])
            # The kernel gives every interface one of these by itself.
            if one.get("scope") != "link"
        }
        return {"addresses": addresses, "mtu": found[0].get("mtu")}

    def _create(self) -> None:
        try:
            self._run(["ip", "link", "add", "dev", self.name, "type", "wireguard"])
            self._recognize()
        except CommandFailed as refused:
            self._log.info("kernel has no WireGuard, starting wireguard-go", reason=str(refused))
            self._start_userspace()
            self._recognize()

    def _recognize(self) -> None:
        if not self._socket.present():
            self.implementation, self.version = "kernel", os.uname().release
            return
        ours = self._socket.version()
        self.implementation = "wireguard-go" if ours else "wireguard-go (Debian)"
        self.version = ours or self._run(["wireguard-go", "--version"]).partition("\n")[0].rpartition(" ")[2]

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
        deadline = time.monotonic() + _start_limit
        while not self._answers():
            if self._process.poll() is not None:
                raise NodeError(
                    f"wireguard-go ended with status {self._process.returncode} at its start, see the log above"
                )
            if time.monotonic() > deadline:
                raise NodeError(f"wireguard-go made no {self._socket.path} within {_start_limit:g} s")
            time.sleep(_poll)

    def _answers(self) -> bool:
        """Whether somebody listens: a wireguard-go that was killed leaves its socket's file behind."""
        try:
            self._socket.version()
        except CommandFailed:
            return False
        return True

    def _relay(self, process: subprocess.Popen[str]) -> None:
        """wireguard-go's own words into our log; errors only, since its banner is on every start."""
        assert process.stdout is not None
        for line in process.stdout:
            if "ERROR" in line:
                self._log.error("wireguard-go", said=line.strip())
            else:
                self._log.debug("wireguard-go", said=line.strip())
