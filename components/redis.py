"""Redis: events and log streams; a password from a file, snapshots on a volume of its own."""

from __future__ import annotations

from typing import Final

import pulumi
import pulumi_docker as docker

from components.base import Component, Limits, files_directory, service_user
from components.images import Images
from components.network import Network
from components.settings import RedisSettings
from providers.secret import GeneratedSecret

port: Final = 6379
name_inside: Final = "redis"
_official_user: Final = "999:999"
_password: Final = f"{files_directory}/redis-password"


class Redis(Component):
    """``berth:platform:Redis``: one server, with the settings that services here expect of it."""

    url: pulumi.Output[str]
    """Secret."""

    def __init__(
        self,
        name: str,
        settings: RedisSettings,
        network: Network,
        images: Images,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("berth:platform:Redis", name, opts)
        password = GeneratedSecret("redis-password", "token", self.child()).value
        published = settings.host_port
        # What is in arguments or the environment, everybody who may list processes or ask Docker can read.
        start = (
            f"umask 077; {{ cat {files_directory}/redis.conf; printf 'requirepass %s\\n' \"$(cat {_password})\"; }} "
            "> /tmp/redis.conf; exec redis-server /tmp/redis.conf"
        )
        ping = f'REDISCLI_AUTH="$(cat {_password})" redis-cli -h 127.0.0.1 ping | grep -q PONG'
        self.container(
            "redis",
            image=images.make("redis"),
            user=service_user if images.is_local("redis") else _official_user,
            limits=Limits(memory=settings.memory),
            networks=[network.attach_inside()],
            entrypoints=["/bin/sh", "-ec"],
            command=[start],
            files={"redis.conf": configuration(settings), "redis-password": password},
            volumes={"/data": self.volume("redis")},
            ports=[docker.ContainerPortArgs(internal=port, external=published, ip="127.0.0.1")] if published else None,
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["CMD-SHELL", ping], interval="2s", timeout="5s", retries=10
            ),
            wait=True,
            wait_timeout=60,
        )
        self.url = pulumi.Output.secret(pulumi.Output.concat("redis://:", password, f"@{name_inside}:{port}/0"))
        self.register_outputs({"url": self.url})


def configuration(settings: RedisSettings) -> str:
    """All but the password.  Snapshot every 20 seconds if anything changed, and events of every key."""
    lines = [
        "bind 0.0.0.0",
        f"port {port}",
        "dir /data",
        "save 20 1",
        "notify-keyspace-events KA",
        "loglevel warning",
        f"maxmemory {settings.memory // 2}mb",
        # A stream that is full is cut by who writes it; Redis by itself drops nothing.
        "maxmemory-policy noeviction",
    ]
    return "\n".join([*lines, ""])
