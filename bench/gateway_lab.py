"""The gateway before one real lease, the same gateway without any of our rules, and a bare Caddy: for bench/gateway.py.

All are containers on one bridge of this host; who asks is on it as well, so that no published port is measured.
"""

from __future__ import annotations

import re
import secrets
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, Final

import docker
from docker.models.containers import Container

from bench.harness import progress
from bench.upload import upload
from components.haproxy import Front, render
from components.lease_front import LeaseFront, silence
from components.parts import access_part, leases_part, web_part
from engine.docker.build import Build, run_build

root: Final = Path(__file__).resolve().parents[1]
labels: Final = {"berth.test": "bench"}
domain: Final = "test.localhost"
key: Final = secrets.token_hex(32)
stack: Final = f"bench{secrets.token_hex(2)}"
_build_seconds: Final = 600
_number: Final = re.compile(r"([\d.]+)(us|ms|s)")
_unit: Final = {"us": 0.001, "ms": 1.0, "s": 1000.0}


@dataclass(frozen=True)
class Load:
    """What one run of wrk found: requests/s, the median in ms, and answers that were none."""

    throughput: float
    p50: float
    bad: int


@dataclass
class Lab:
    """``folder``: where the gateway's runtime socket is; ``lease``: the container that is asked for."""

    caller: Container
    gateway: Container
    lease: Container
    folder: Path
    network: str

    def address(self, container: Container) -> str:
        container.reload()
        found: str = container.attrs["NetworkSettings"]["Networks"][self.network]["IPAddress"]
        return found

    def load(self, url: str, connections: int, seconds: int, headers: Mapping[str, str]) -> Load:
        """Keeps ``connections`` busy for so long.  Errors: ``RuntimeError`` where wrk itself fails."""
        given = [part for name, value in headers.items() for part in ("-H", f"{name}: {value}")]
        command = ["wrk", "--latency", "-t", "1", "-c", str(connections), "-d", f"{seconds}s", *given, url]
        done = self.caller.exec_run(command)
        text = done.output.decode()
        if done.exit_code != 0:
            raise RuntimeError(f"wrk failed: {text[-300:]}")
        median = re.search(r"^\s+50%\s+(\S+)", text, re.MULTILINE)
        rate = re.search(r"Requests/sec:\s+([\d.]+)", text)
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        found = _number.fullmatch(median[1]) if median else None
        if found is None or rate is None:
            raise RuntimeError(f"wrk says nothing that is understood: {text[-300:]}")
        return Load(float(rate[1]), float(found[1]) * _unit[found[2]], int(bad[1]) if bad else 0)


@contextmanager
def lab() -> Iterator[Lab]:
    """Everything up; removed at the end."""
    daemon = docker.from_env()
    host = daemon.api.base_url.replace("http+docker://localhost", "unix:///var/run/docker.sock")

    def built(name: str, file: str) -> str:
        progress(f"building {name}")
        return run_build(Build(f"berth/{name}:bench", ".", file), root, host, _build_seconds, lambda _: None)

    gateway_image, echo = (built(name, f"images/{name}/Dockerfile") for name in ("gateway", "lease-echo"))
    tools = built("bench-gateway", "bench/gateway.Dockerfile")
    network = daemon.networks.create(f"berth-{stack}-leases", labels=labels)
    network.reload()
    subnet = IPv4Network(network.attrs["IPAM"]["Config"][0]["Subnet"])
    made: list[Container] = []

    def start(name: str, image: str, command: list[str] | None = None, **options: Any) -> Container:
        files: dict[str, str] = options.pop("files", {})
        container = daemon.containers.create(
            image, command, name=f"berth-{stack}-{name}", labels=labels, network=network.name, **options
        )
        made.append(container)
        if files:
            upload(container, files)
        container.start()
        return container

    try:
        with tempfile.TemporaryDirectory() as folder:
            Path(folder).chmod(0o777)
            lease = start("lease-ann", echo)
            haproxy = ["haproxy", "-W", "-db", "-f", "/run/berth/session-key", "-f", "/run/berth/haproxy.cfg"]
            gateway = start(
                "gateway", gateway_image, haproxy, files=_ours(subnet), volumes={folder: {"bind": "/run/gateway"}}
            )
            start("bare", gateway_image, ["haproxy", "-W", "-db", "-f", "/run/berth/haproxy.cfg"], files=_bare(subnet))
            start(
                "caddy", tools, ["caddy", "run", "--config", "/Caddyfile", "--adapter", "caddyfile"],
                files={"/Caddyfile": _caddy}, environment={"HOME": "/tmp"},
            )  # fmt: skip
            caller = start("caller", tools, ["sleep", "infinity"], init=True)
            time.sleep(2)
            yield Lab(caller, gateway, lease, Path(folder), str(network.name))
    finally:
        for container in made:
            container.remove(force=True, v=True)
        network.remove()
        daemon.close()


def _ours(subnet: IPv4Network) -> dict[str, str]:
    """The gateway's files as the stack makes them, for leases that need a session."""
    front = Front("http://localhost/", leases=LeaseFront(stack, domain, subnet, per_minute=1_000_000_000))
    files = render([access_part(8080), leases_part(8080), web_part(8080)], stack, front)
    files["session-key"] = f"global\n    setenv LEASE_SESSION_KEY {key}\n"
    return {f"/run/berth/{name}": text for name, text in files.items()}


def _bare(subnet: IPv4Network) -> dict[str, str]:
    """The same sections global and defaults, one way through, and as little to say of it in the log."""
    text = _ours(subnet)["/run/berth/haproxy.cfg"]
    start, end = text.index("global\n"), text.index("resolvers docker")
    kept = text[start:end].replace(" resolvers docker resolve-prefer ipv4 init-addr none", "")
    kept = "\n".join(line for line in kept.splitlines() if "/run/gateway/" not in line)
    way = (
        "frontend all\n    bind :8000\n    default_backend one\n"
        f"backend one\n    http-reuse always\n    {silence}\n"
        f"    server one berth-{stack}-lease-ann:8080\n"
    )
    return {"/run/berth/haproxy.cfg": f"{kept}\n{way}"}


_caddy: Final = (
    "{\n    admin off\n    auto_https off\n}\n"
    f":8000 {{\n    reverse_proxy berth-{stack}-lease-ann:8080\n}}\n"
)  # fmt: skip
