"""The TUN device, which a WireGuard node uses where the kernel has no WireGuard of its own."""

from __future__ import annotations

from pathlib import Path

from bootstrap.errors import SetupError
from bootstrap.step import Context

DEVICE = Path("/dev/net/tun")


class Tunnel:
    """Makes sure that containers can be given /dev/net/tun."""

    name = "TUN device"

    def __init__(self, device: Path = DEVICE) -> None:
        self._device = device

    def satisfied(self, context: Context) -> str | None:
        if context.shell.environment.get("DOCKER_HOST", "").startswith(("tcp:", "ssh:")):
            return "on the Docker host"
        if context.exports.get("DOCKER_HOST"):
            return "in Docker's own machine"
        return str(self._device) if self._device.exists() else None

    def apply(self, context: Context) -> str:
        shell = context.shell
        if shell.which("modprobe"):
            shell.run(*shell.as_root("modprobe", "tun"), limit=20)
        if not self._device.exists():
            shell.run(*shell.as_root("mkdir", "-p", str(self._device.parent)))
            shell.must(
                f"{self._device} is missing and could not be made",
                "load the kernel's tun module (modprobe tun as root), then try again",
                *shell.as_root("mknod", "-m", "666", str(self._device), "c", "10", "200"),
            )
        try:
            self._device.open("rb+", buffering=0).close()
        except OSError as error:
            raise SetupError(
                f"{self._device} does not work: {error.strerror}",
                "load the kernel's tun module (modprobe tun as root), then try again",
            ) from error
        return f"made {self._device}"
