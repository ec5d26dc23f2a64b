"""The WireGuard key pair of this device, and its configuration file for wg-quick."""

from __future__ import annotations

import os
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from berth.kit.client import ClientError, WrongUsage

_bridged: Final = "through a TCP bridge"  # in a comment, here and in the page's files
_keepalive: Final = 25  # seconds; what NATs keep open is 30 and more


def private_text(private: X25519PrivateKey) -> str:
    """The private key in base64, as ``wg genkey`` prints it."""
    return b64encode(private.private_bytes_raw()).decode()


def private_from(text: str) -> X25519PrivateKey:
    """The inverse of :func:`private_text`; WrongUsage, which does not show it, where it is none."""
    try:
        raw = b64decode(text.strip(), validate=True)
        return X25519PrivateKey.from_private_bytes(raw)
    except ValueError:
        raise WrongUsage("not a WireGuard private key: 32 bytes in base64 are, as `wg genkey` prints") from None


def private_in(path: Path) -> X25519PrivateKey:
    """The private key in a wg-quick file; WrongUsage where there is none."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}") from None
    for line in lines:
        name, equals, value = line.partition("=")
        if equals and name.strip().lower() == "privatekey":
            return private_from(value)
    raise WrongUsage(f"{path} has no PrivateKey: it is not a configuration of `berth connect`")


@dataclass(frozen=True)
class PeerLines:
    """A peer in a wg-quick file; ``allowed``: its AllowedIPs; ``bridged``: the file is for ``berth tunnel``.

    The endpoint alone does not tell: that of a node on this machine is a loopback address as well.
    """

    key: str
    endpoint: str
    allowed: tuple[str, ...] = ()
    bridged: bool = False


def peers_in(path: Path) -> list[PeerLines]:
    """The peers of a wg-quick file in its order; WrongUsage where it cannot be read or has none."""
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise WrongUsage(f"{path} cannot be read: {getattr(error, 'strerror', None) or 'it is not text'}") from None
    bridged = any(line.lstrip().startswith("#") and _bridged in line for line in lines)
    found: list[dict[str, str]] = []
    inside = False
    for line in (line.partition("#")[0].strip() for line in lines):
        if line.startswith("["):
            inside = line.lower() == "[peer]"
            found += [{}] if inside else []
            continue
        name, equals, value = line.partition("=")
        if inside and equals:
            found[-1][name.strip().lower()] = value.strip()
    peers = [
        PeerLines(
            one["publickey"],
            one.get("endpoint", ""),
            tuple(one.get("allowedips", "").replace(" ", "").split(",")),
            bridged,
        )
        for one in found
        if "publickey" in one
    ]
    if not peers:
        raise WrongUsage(f"{path} has no peer: it is not a configuration of `berth connect`")
    return peers


@dataclass(frozen=True)
class Profile:
    """What a wg-quick file says; ``address`` and ``address6`` without prefix length.

    ``others``: keys of nodes that the tunnel may move to; peers without allowed IPs until then.
    """

    private: X25519PrivateKey = field(repr=False)
    address: str
    address6: str | None
    node_key: str
    endpoint: str
    allowed_ips: Sequence[str]
    dns: Sequence[str] = ()
    mtu: int = 1420
    others: Sequence[str] = ()
    bridged: bool = False

    @classmethod
    def of(
        cls,
        config: Mapping[str, Any],
        private: X25519PrivateKey,
        addresses: tuple[str, str | None],
        node: Mapping[str, Any],
    ) -> Self:
        """From what the access API says of the stack and of a node."""
        return cls(
            private, *addresses, str(node["publicKey"]), str(node["endpoint"]), list(config["allowedIps"]),
            list(config["dns"]), int(config["mtu"]),
        )  # fmt: skip

    def through(self, port: int, mtu: int, others: Sequence[str]) -> Profile:
        """The same through a TCP bridge, whose client end listens at ``port`` on this machine."""
        return replace(self, endpoint=f"127.0.0.1:{port}", mtu=mtu, others=tuple(others), bridged=True)

    def text(self) -> str:
        """The file, private key included."""
        addresses = ", ".join([f"{self.address}/32", *([f"{self.address6}/128"] if self.address6 else [])])
        lines = ["[Interface]", f"PrivateKey = {private_text(self.private)}", f"Address = {addresses}"]
        if self.dns:
            lines.append(f"DNS = {', '.join(self.dns)}")
        lines += [
            f"MTU = {self.mtu}",
            "",
            "[Peer]",
            *([f"# {_bridged}: `berth tunnel` has to run beside this"] if self.bridged else []),
            f"PublicKey = {self.node_key}",
            f"Endpoint = {self.endpoint}",
            f"AllowedIPs = {', '.join(self.allowed_ips)}",
            f"PersistentKeepalive = {_keepalive}",
        ]
        for key in self.others:
            lines += ["", "[Peer]", f"PublicKey = {key}", f"Endpoint = {self.endpoint}"]
        if any("\n" in line or "\r" in line for line in lines):
            raise ClientError("the service gave a value of more than one line, which no configuration file may hold")
        return "\n".join(lines) + "\n"


def write_private(path: Path, text: str, *, replace: bool = False) -> None:
    """Writes a file that only its owner can read; ClientError where it is there and is not to be replaced."""
    temporary = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.unlink(missing_ok=True)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
        if replace:
            os.replace(temporary, path)
            return
        try:
            os.link(temporary, path)  # unlike a rename, this replaces nothing
        finally:
            temporary.unlink(missing_ok=True)
    except FileExistsError:
        raise ClientError(f"{path} is there already: name another file, or replace it with --force") from None
    except OSError as error:
        raise ClientError(f"{path} cannot be written: {error.strerror}") from None
