"""A stack of leases without its platform: real MongoDB, Redis and Docker, and the real manager as a process."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import docker
import httpx
from docker.errors import APIError, NotFound
from docker.models.containers import Container
from docker.types import IPAMConfig, IPAMPool
from pymongo import MongoClient
from pymongo.errors import PyMongoError
from redis import Redis
from redis.exceptions import RedisError

from engine.docker.build import Build, run_build

root = Path(__file__).resolve().parent.parent
image = "debian:bookworm-slim"
test_label = {"berth.test": "leases"}
speak = "i=0; while :; do i=$((i+1)); echo line $i; sleep 0.2; done"


def template(command: str = "exec sleep infinity", **more: Any) -> dict[str, Any]:
    """One container of a scenario, small."""
    return {
        "image": image,
        "command": ["sh", "-c", command],
        "limits": {"memoryMib": 32, "cpus": 0.5, "pids": 32},
        **more,
    }


def catalogue(**scenarios: dict[str, Any]) -> dict[str, Any]:
    """LEASES_FILE with some scenarios of every kind; given ones replace them."""
    return {
        "scenarios": {
            "basic": {"containers": {"main": template()}},
            "talker": {"containers": {"main": template(speak)}},
            "stubborn": {"containers": {"main": template("trap '' TERM; while :; do sleep 0.1; done")}},
            "absent": {"containers": {"main": template(image="berth-test/not-there:1")}},
            "broken": {"containers": {"main": template() | {"command": ["/not/there"]}}},
            "short": {"containers": {"main": template("exit 3", restarts=0)}},
            "advanced": {"containers": {"main": template(), "side": template()}},
            "told": {"containers": {"main": template()}, "told": True},
            "outgoing": {"containers": {"main": template()}, "egress": True},
            **scenarios,
        },
    }


def built(name: str) -> str:
    """The id of an image of ours, built where it is not."""
    args = {"SERVICE": built("service") and "berth/service:platform-test"} if name == "mongodb" else {}
    what = Build(f"berth/{name}:platform-test", ".", f"images/{name}/Dockerfile", args)
    return run_build(what, root, "unix:///var/run/docker.sock", 600, lambda _: None)


@dataclass
class Servers:
    """MongoDB (a replica set of one) and Redis, in containers; and a bridge for leases like the stack's."""

    daemon: docker.DockerClient
    mongo_image: str
    redis_image: str
    run: str = field(default_factory=lambda: secrets.token_hex(3))
    containers: list[Container] = field(default_factory=list)

    def start(self) -> Servers:
        self.subnet = self._network()
        # It comes back with its data when it is killed, which are in memory, and go with the container.
        again = "while :; do mongod --replSet rs0 --bind_ip_all; sleep 0.5; done"
        self.mongo = self._container("mongo", self.mongo_image, ["sh", "-c", again])
        self.redis = self._container(
            "redis", self.redis_image, ["redis-server", "--save", "", "--protected-mode", "no"]
        )
        self.mongo_host, self.redis_host = self._address(self.mongo), self._address(self.redis)
        eventually("MongoDB elects itself", self._initiate, 60, (PyMongoError,))
        eventually("Redis answers", lambda: bool(self.redis_client().ping()), 30, (RedisError, OSError))
        return self

    def mongo_uri(self, database: str) -> str:
        return f"mongodb://{self.mongo_host}:27017/{database}?directConnection=true"

    def mongo_client(self) -> MongoClient[dict[str, Any]]:
        return MongoClient(self.mongo_host, 27017, directConnection=True, serverSelectionTimeoutMS=2000)

    def redis_url(self) -> str:
        return f"redis://{self.redis_host}:6379/0"

    def kill_mongo(self) -> None:
        """MongoDB ends at once, and starts anew."""
        assert self.mongo.exec_run(["sh", "-c", "kill -9 $(pidof mongod)"]).exit_code == 0

    def redis_client(self) -> Redis:
        return Redis(self.redis_host, 6379, socket_timeout=2)

    @property
    def network(self) -> str:
        return f"berth-test-{self.run}-leases"

    def close(self) -> None:
        for container in self.containers:
            container.remove(force=True, v=True)
        self.daemon.networks.get(self.network).remove()

    def _container(self, name: str, made_of: str, command: list[str]) -> Container:
        made = self.daemon.containers.run(
            made_of, command, name=f"berth-test-{self.run}-{name}", labels=test_label, detach=True, entrypoint=[],
            tmpfs={"/data/db": "uid=1001,gid=1001", "/data": "uid=1001,gid=1001"}, user="1001:1001",
        )  # fmt: skip
        self.containers.append(made)
        return made

    def _address(self, container: Container) -> str:
        container.reload()
        address: str = container.attrs["NetworkSettings"]["IPAddress"]
        return address

    def _initiate(self) -> bool:
        with self.mongo_client() as client:
            if client.admin.command("hello").get("setName") != "rs0":
                members = [{"_id": 0, "host": f"{self.mongo_host}:27017"}]
                client.admin.command("replSetInitiate", {"_id": "rs0", "members": members})
            return bool(client.admin.command("hello").get("isWritablePrimary"))

    def _network(self) -> IPv4Network:
        for _ in range(20):
            subnet = IPv4Network(f"10.{151 + secrets.randbelow(50)}.{secrets.randbelow(256)}.0/24")
            ipam = IPAMConfig(pool_configs=[IPAMPool(subnet=str(subnet), gateway=str(subnet[1]))])
            options = {"com.docker.network.bridge.enable_icc": "false"}
            try:
                self.daemon.networks.create(self.network, ipam=ipam, labels=test_label, options=options)
            except APIError as error:
                if "overlap" not in str(error):
                    raise
            else:
                return subnet
        raise AssertionError("no free subnet for a test network")


class World:
    """One stack: its manager, its leases, its database, all under a name of its own."""

    def __init__(self, servers: Servers, folder: Path, scenarios: dict[str, Any] | None = None, **more: str) -> None:
        self.servers, self.folder = servers, folder
        self.stack = f"t{secrets.token_hex(3)}"
        self.port = free_port()
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "leases.json").write_text(json.dumps(scenarios or catalogue()))
        self.environment = {
            "STACK": self.stack,
            "MONGODB_URI": servers.mongo_uri(self.stack),
            "REDIS_URL": servers.redis_url(),
            "DOCKER_HOST": "unix:///var/run/docker.sock",
            "LEASES_FILE": str(folder / "leases.json"),
            "JOURNAL_DIR": str(folder),
            "LEASE_NETWORK": servers.network,
            "SESSION_KEY": "s" * 32,
            "ADMIN_TOKEN": "admin-of-the-tests",
            "PORT": str(self.port),
            "RECONCILE_SECONDS": "5",
            "REQUESTS_PER_MINUTE": "100000",
            **more,
        }
        self.program = ["-m", "berth.leases"]
        self.log: list[dict[str, Any]] = []
        self.process: subprocess.Popen[str] | None = None
        self.http = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=40)

    # ------------------------------------------------------------ the manager

    def start(self, wait: bool = True, **more: str) -> World:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(root), **self.environment, **more}
        self.process = subprocess.Popen(
            [sys.executable, *self.program], cwd=root, env=environment, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        threading.Thread(target=self._read, args=(self.process,), daemon=True).start()
        if wait:
            eventually("the manager is well", self.is_well, 30, (httpx.HTTPError,), self._tail)
        return self

    def is_well(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, self._tail()
        return self.http.get("/health").status_code == 200

    def stop(self, how: signal.Signals = signal.SIGTERM) -> int:
        assert self.process is not None
        self.process.send_signal(how)
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"the manager does not stop:\n{self._tail()}") from None

    def died(self, seconds: float = 20) -> int:
        """Waits until the manager kills itself."""
        assert self.process is not None
        return self.process.wait(seconds)

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            try:
                self.log.append(json.loads(line))
            except ValueError:
                self.log.append({"event": line.rstrip()})

    def _tail(self) -> str:
        return "\n".join(json.dumps(line) for line in self.log[-15:])

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.stop(signal.SIGKILL)
        for container in self.containers():
            try:
                container.remove(force=True, v=True)
            except NotFound:
                continue
        for network in self.networks():
            network.remove()
        with self.servers.mongo_client() as client:
            client.drop_database(self.stack)
        self.http.close()

    # ------------------------------------------------------------ asking

    def call(self, method: str, path: str, user: str = "", **options: Any) -> httpx.Response:
        headers = {**({"X-Berth-User": user} if user else {}), **options.pop("headers", {})}
        return self.http.request(method, path, headers=headers, **options)

    def provision(
        self, scenario: str = "basic", minutes: int = 5, user: str = "", wait: float = 20, **more: Any
    ) -> Any:
        """A lease, which runs; as the API shows it."""
        body = {"imageType": scenario, "durationMinutes": minutes, **more}
        response = self.call("POST", "/api/provision", user, json=body, params={"wait": wait})
        assert response.status_code == 201, response.text
        return response.json()

    def get(self, identifier: str, user: str = "") -> Any:
        response = self.call("GET", f"/api/containers/{identifier}", user)
        assert response.status_code == 200, response.text
        return response.json()

    @property
    def admin(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.environment['ADMIN_TOKEN']}"}

    # ------------------------------------------------------------ looking behind it

    def containers(self, lease: str | None = None) -> list[Container]:
        """Those of the stack, or of one lease."""
        labels = [f"berth.stack=berth/{self.stack}", *([f"berth.lease={lease}"] if lease else [])]
        found: list[Container] = self.servers.daemon.containers.list(
            all=True, filters={"label": labels}, ignore_removed=True
        )
        return found

    def networks(self) -> list[Any]:
        found: list[Any] = self.servers.daemon.networks.list(filters={"label": f"berth.stack=berth/{self.stack}"})
        return found

    def records(self, **where: Any) -> list[dict[str, Any]]:
        """What MongoDB has."""
        with self.servers.mongo_client() as client:
            return list(client[self.stack]["leases"].find(where))

    def shorten(self, identifier: str, seconds: float) -> None:
        """Lets a lease end in so many seconds, behind the manager's back: tests are shorter than a minute.

        The manager's timers do not know; its next look does.
        """
        mark = time.clock_gettime(time.CLOCK_BOOTTIME) + seconds
        with self.servers.mongo_client() as client:
            done = client[self.stack]["leases"].update_one(
                {"_id": identifier},
                {"$set": {"expires.at": time.time() + seconds, "expires.mark": mark}, "$inc": {"generation": 1}},
            )
            assert done.matched_count == 1


def free_port() -> int:
    with socket.socket() as made:
        made.bind(("127.0.0.1", 0))
        port: int = made.getsockname()[1]
        return port


def eventually(
    what: str,
    test: Callable[[], bool],
    seconds: float = 20,
    also: tuple[type[Exception], ...] = (),
    more: Callable[[], str] = lambda: "",
) -> float:
    """Seconds until ``test`` held; fails unless it did in time.  Exceptions named by ``also`` mean "not yet"."""
    started, last = time.monotonic(), None
    while time.monotonic() - started < seconds:
        try:
            if test():
                return time.monotonic() - started
        except also as error:
            last = error
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what} ({last}) {more()}")
