"""MongoDB: the replica set ``rs0``, with a key file, authentication on, and one volume per member."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pulumi
import pulumi_docker as docker

from components.base import Component, Limits, files_directory, finished, service_user
from components.images import Images
from components.network import Network
from components.settings import MongoSettings
from providers.secret import GeneratedSecret

replica_set: Final = "rs0"
port: Final = 27017

_job: Final = Path(__file__).parent.parent / "berth" / "jobs" / "mongo_init.py"


class MongoDB(Component):
    """``berth:platform:MongoDB``: members ``mongo-repl-1`` ... and the one-shot job that makes them a set."""

    hosts: tuple[str, ...]
    uri: pulumi.Output[str]
    """Secret: the services' user ``berth`` on its database; known once the set has a primary and that user."""
    root_password: pulumi.Output[str]

    def __init__(
        self,
        name: str,
        settings: MongoSettings,
        network: Network,
        images: Images,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("berth:platform:MongoDB", name, opts)
        self._official = not images.is_local("mongodb")
        self.hosts = tuple(f"mongo-repl-{number}" for number in range(1, settings.members + 1))
        key = GeneratedSecret("mongo-key", "keyfile", self.child())
        root = GeneratedSecret("mongo-root", "token", self.child())
        app = GeneratedSecret("mongo-app", "token", self.child())

        image = images.make("mongodb", on_service=True)
        members = [self._member(host, settings, network, image, key) for host in self.hosts]
        addresses = ",".join(f"{host}:{port}" for host in self.hosts)
        job = self.job(
            "mongo-init",
            image=images.service,
            limits=Limits(memory=128),
            # From inside the first member's namespace the job is localhost, whom a server without users trusts.
            network_mode=pulumi.Output.concat("container:", members[0].id),
            command=["python", f"{files_directory}/mongo_init.py"],
            envs={
                "REPLICA_SET": replica_set,
                "MEMBERS": addresses,
                "KEY_FILE": f"{files_directory}/mongo.key",
                "ROOT_PASSWORD_FILE": f"{files_directory}/root-password",
                "APP_PASSWORD_FILE": f"{files_directory}/app-password",
            },
            files={
                "mongo_init.py": _job.read_text(),
                "mongo.key": key.value,
                "root-password": root.value,
                "app-password": app.value,
            },
            options=pulumi.ResourceOptions(depends_on=members),
        )
        uri = pulumi.Output.concat(
            "mongodb://berth:", app.value, f"@{addresses}/berth?replicaSet={replica_set}&authSource=admin&w=majority"
        )
        self.uri = pulumi.Output.secret(finished(job, uri))
        self.root_password = root.value
        self.register_outputs({"hosts": list(self.hosts), "uri": self.uri})

    def _member(
        self, host: str, settings: MongoSettings, network: Network, image: pulumi.Output[str], key: GeneratedSecret
    ) -> docker.Container:
        # Half of the memory for the cache, as mongod itself would choose from the whole machine's.
        cache = settings.memory / 1024 / 2
        start = (
            # A key file that others may read is refused, and uploads are root's: copy it for the server's own user.
            f"umask 077; cp {files_directory}/mongo.key /tmp/mongo.key; "
            f"exec mongod --replSet {replica_set} --keyFile /tmp/mongo.key --bind_ip_all --port {port} "
            f"--dbpath /data/db --wiredTigerCacheSizeGB {max(cache, 0.25):.2f} --nounixsocket --quiet"
        )
        ping = (
            ["CMD", "mongosh", "--quiet", "--eval", "quit(db.runCommand('ping').ok ? 0 : 1)"]
            if self._official
            else ["CMD", "/usr/local/bin/healthcheck"]
        )
        published = settings.host_port if host == self.hosts[0] else None
        return self.container(
            host,
            image=image,
            user="999:999" if self._official else service_user,
            limits=Limits(memory=settings.memory),
            networks=[network.attach_inside()],
            entrypoints=["/bin/sh", "-ec"],
            command=[start],
            files={"mongo.key": key.value},
            volumes={"/data/db": self.volume(host)},
            ports=[docker.ContainerPortArgs(internal=port, external=published, ip="127.0.0.1")] if published else None,
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=ping, interval="10s", timeout="10s", retries=5, start_period="30s"
            ),
            destroy_grace_seconds=60,
        )
