"""A WireGuard client in a container of its own, as a laptop on another network would be.

It makes a key of its own, which never leaves it; :meth:`Client.use` takes a file with another.
"""

from __future__ import annotations

import io
import re
import tarfile
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import docker
from docker.errors import NotFound
from docker.models.containers import Container

config_path = "/etc/wireguard/wg0.conf"
program_path = "/usr/local/bin/berth-bridge"
bridge_port = 51888
"""UDP port inside a client where its end of a TCP bridge listens."""
_no_udp = (
    "table inet blocked { chain output { type filter hook output priority 0; "
    'oifname != { "lo", "wg0" } meta l4proto udp counter drop; }; '
    'chain input { type filter hook input priority 0; iifname != { "lo", "wg0" } meta l4proto udp drop; }; }'
)


class ClientError(Exception):
    """A command inside the client failed; the message holds what it printed."""


@dataclass(frozen=True)
class Tunnel:
    """What a client needs to know of a node: ``endpoint`` is host:port, ``routes`` are CIDR blocks."""

    node_key: str
    endpoint: str
    address: str
    routes: tuple[str, ...]

    def config(self) -> str:
        """A wg-quick file without the private key, which wg-quick takes from the client's own disk."""
        return "\n".join(
            [
                "[Interface]",
                f"Address = {self.address}/32",
                "PostUp = wg set %i private-key /etc/wireguard/private.key",
                "MTU = 1420",
                "",
                "[Peer]",
                f"PublicKey = {self.node_key}",
                f"Endpoint = {self.endpoint}",
                f"AllowedIPs = {', '.join(self.routes)}",
                "PersistentKeepalive = 5",
                "",
            ]
        )


class Client:
    """One container on ``network``; a context manager that removes it at the end.

    Errors: :class:`ClientError` when a command inside fails, ``docker.errors`` for the daemon's.
    """

    def __init__(self, name: str, image: str, network: str, labels: dict[str, str]) -> None:
        self.name, self._image, self._network, self._labels = name, image, network, labels
        self._docker = docker.from_env()
        self._container: Container | None = None
        self.public_key = ""

    def __enter__(self) -> Self:
        self._remove_leftover()
        self._container = self._docker.containers.run(
            self._image,
            entrypoint=["sleep"],
            command=["infinity"],
            name=self.name,
            network=self._network,
            labels=self._labels,
            user="0",
            cap_drop=["ALL"],
            cap_add=["NET_ADMIN", "NET_RAW"],
            devices=["/dev/net/tun"],
            # Docker turns IPv6 off where a network has none; the tunnel may have it.
            sysctls={"net.ipv6.conf.all.disable_ipv6": "0", "net.ipv6.conf.default.disable_ipv6": "0"},
            init=True,
            detach=True,
        )
        self.run("mkdir -p /etc/wireguard && umask 077 && wg genkey > /etc/wireguard/private.key")
        self.public_key = self.run("wg pubkey < /etc/wireguard/private.key").strip()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._container is not None:
            self._container.remove(v=True, force=True)
        self._docker.close()

    def _remove_leftover(self) -> None:
        """A demo that was killed leaves its client behind: ours by name and by label, nobody else's."""
        try:
            leftover = self._docker.containers.get(self.name)
        except NotFound:
            return
        if all(leftover.labels.get(key) == value for key, value in self._labels.items()):
            leftover.remove(v=True, force=True)
        else:
            raise ClientError(f"a container named {self.name} is not the demo's: rename or remove it")

    def run(self, script: str) -> str:
        """Runs a shell script in the client and returns its standard output; ClientError if it fails."""
        status, output, errors = self._execute(script)
        if status != 0:
            raise ClientError(f"{self.name}: `{script}` ended with {status}: {(errors or output).strip()}")
        return output

    def _execute(self, script: str) -> tuple[int, str, str]:
        assert self._container is not None, "use the client as a context manager"
        status, (output, errors) = self._container.exec_run(["sh", "-c", script], demux=True)
        return status, (output or b"").decode(), (errors or b"").decode()

    def connect(self, tunnel: Tunnel) -> None:
        """Brings the tunnel up with the client's own key."""
        self.use(tunnel.config())

    def use(self, profile: str) -> None:
        """Brings up the tunnel of a wg-quick file; one that was up before goes down first."""
        self.put(config_path, profile.encode(), 0o600)
        self.run("wg-quick down wg0 2>/dev/null; wg-quick up wg0")

    def put(self, path: str, content: bytes, mode: int) -> None:
        """Writes a file in the client."""
        assert self._container is not None
        folder, name = path.rsplit("/", 1)
        archive = io.BytesIO()
        with tarfile.open(fileobj=archive, mode="w") as tar:
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
        self._container.put_archive(folder, archive.getvalue())

    def block_udp(self) -> None:
        """From now on its network drops all UDP, both ways, as a hotel's does."""
        self.run(f"nft '{_no_udp}'")

    def unblock_udp(self) -> int:
        """Lets UDP pass again, and tells how many datagrams were dropped on their way out."""
        counted = self.run("nft list chain inet blocked output")
        self.run("nft delete table inet blocked")
        found = re.search(r"counter packets (\d+)", counted)
        return int(found.group(1)) if found else 0

    def take_program(self, bridge: str) -> None:
        """Takes the client end of a TCP bridge out of a bridge's container, as a person would with `docker cp`."""
        packed, _ = self._docker.containers.get(bridge).get_archive(program_path)
        with tarfile.open(fileobj=io.BytesIO(b"".join(packed))) as tar:
            content = tar.extractfile(tar.getmembers()[0])
            assert content is not None
            self.put(program_path, content.read(), 0o755)

    def start_bridge(self, *bridges: str) -> None:
        """Starts the client end: WireGuard at ``127.0.0.1:51888`` goes through one of ``bridges``, best first."""
        forwards = " ".join(f"--tcp-forward {bridge}" for bridge in bridges)
        command = f"{program_path} udp2tcp --udp-listen 127.0.0.1:{bridge_port} {forwards}"
        self.run(f"nohup {command} > /tmp/bridge.log 2>&1 & echo $! > /tmp/bridge.pid")

    def stop_bridge(self) -> None:
        """Ends the client end."""
        self.run("kill $(cat /tmp/bridge.pid)")

    def reaches(self, url: str, seconds: int = 3) -> str | None:
        """The page at ``url``, or None when nothing answers within ``seconds``."""
        script = (
            "python3 -c 'import sys, urllib.request;"
            " sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=int(sys.argv[2])).read().decode())'"
            f" '{url}' {seconds}"
        )
        status, output, _ = self._execute(script)
        return output if status == 0 else None

    def start_ping(self, address: str, interval: float = 0.1) -> None:
        """Pings ``address`` until :meth:`stop_ping`, every ``interval`` seconds."""
        self.run(f"nohup ping -n -i {interval} {address} > /tmp/ping.log 2>&1 & echo $! > /tmp/ping.pid")

    def stop_ping(self) -> tuple[int, int]:
        """Ends the ping and returns (sent, received).

        One whose answer was still on its way when the ping ended was neither answered nor lost: it does not count.
        """
        self.run("kill -INT $(cat /tmp/ping.pid); while kill -0 $(cat /tmp/ping.pid) 2>/dev/null; do sleep 0.05; done")
        log = self.run("cat /tmp/ping.log")
        summary = re.search(r"(\d+) packets transmitted", log)
        if summary is None:
            raise ClientError(f"{self.name}: the ping ended without a summary: {log[-300:]}")
        sent = int(summary.group(1))
        answered = {int(number) for number in re.findall(r"bytes from .*icmp_seq=(\d+)", log)}
        if sent not in answered and sent > 1:
            sent -= 1
        return sent, len(answered)
