"""The real server, set up by the real job, as declared for stack dev."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from docker.models.containers import Container
from pymongo import MongoClient, WriteConcern
from pymongo.errors import OperationFailure, PyMongoError

from providers.secret import GeneratedSecretProvider
from tests.component.recorder import Recorder, declare_program
from tests.integration.platform.lab import Lab, eventually

pytestmark = pytest.mark.docker

container = "docker:index/container:Container"
Images = Callable[[str], str]


def fresh_secrets() -> dict[str, str]:
    """Files of a stack that was made anew."""
    keyfile = GeneratedSecretProvider().create({"kind": "keyfile"}).outs
    assert keyfile is not None
    return {
        "mongo.key": keyfile["value"],
        "root-password": secrets.token_hex(32),
        "app-password": secrets.token_hex(32),
    }


@dataclass
class Mongo:
    lab: Lab
    images: Images
    dev: Recorder
    files: dict[str, str]
    server: Container
    log: str = ""

    @classmethod
    def start(cls, lab: Lab, images: Images, dev: Recorder, files: dict[str, str], mount: str) -> Mongo:
        declared = dev.named(container, "mongo-repl-1")
        server = lab.start(declared, images("mongodb"), files={"mongo.key": files["mongo.key"]}, mount=mount)
        return cls(lab, images, dev, files, server)

    def set_up(self, **options: Any) -> int:
        """Run the job; its exit code."""
        job = self.dev.named(container, "mongo-init")
        mode = f"container:{self.server.id}"
        code, self.log = self.lab.run_job(job, self.images("service"), files=self.files, network_mode=mode, **options)
        return code

    def events(self) -> list[str]:
        return [json.loads(line)["event"] for line in self.log.splitlines()]

    def client(self, user: str = "", password: str = "") -> MongoClient[dict[str, Any]]:
        login: dict[str, Any] = {"username": user, "password": password, "authSource": "admin"} if user else {}
        address = self.lab.address(self.server)
        return MongoClient(address, 27017, directConnection=True, serverSelectionTimeoutMS=5000, **login)

    def app(self) -> MongoClient[dict[str, Any]]:
        return self.client("berth", self.files["app-password"])


@pytest.fixture(scope="module")
def mongo(lab: Lab, images: Images, dev: Recorder) -> Iterator[Mongo]:
    made = Mongo.start(lab, images, dev, fresh_secrets(), "mongo")
    assert made.set_up() == 0, made.log
    yield made
    lab.remove(made.server)


def test_the_job_says_what_it_did(mongo: Mongo) -> None:
    assert mongo.events() == ["initiated", "created", "created", "ready"]


def test_no_secret_is_in_any_log_or_in_what_inspect_shows(mongo: Mongo) -> None:
    mongo.server.reload()
    shown = mongo.log + mongo.server.logs().decode() + json.dumps(mongo.server.attrs)
    for name, value in mongo.files.items():
        assert value not in shown, name


def test_a_primary_is_elected(mongo: Mongo) -> None:
    with mongo.client() as client:
        hello = client.admin.command("hello")
    assert (hello["setName"], hello["isWritablePrimary"], hello["hosts"]) == ("rs0", True, ["mongo-repl-1:27017"])


def test_without_a_user_nothing_is_read_or_written(mongo: Mongo) -> None:
    with mongo.client() as client:
        for attempt in (
            lambda: client.berth.things.find_one(),
            lambda: client.berth.things.insert_one({}),
            lambda: client.admin.command("listDatabases"),
            lambda: client.admin.command("createUser", "x", pwd="x", roles=["root"]),
        ):
            with pytest.raises(OperationFailure) as refused:
                attempt()
            assert refused.value.code == 13


def test_a_wrong_password_is_refused(mongo: Mongo) -> None:
    with mongo.client("berth", "wrong") as client, pytest.raises(OperationFailure) as refused:
        client.admin.command("ping")
    assert refused.value.code == 18


def test_the_services_user_writes_with_majority_and_only_to_its_database(mongo: Mongo) -> None:
    with mongo.app() as client:
        things = client.berth.get_collection("things", write_concern=WriteConcern("majority", wtimeout=5000))
        assert things.insert_one({"_id": "kept"}).acknowledged
        with pytest.raises(OperationFailure) as refused:
            client.other.things.insert_one({})
    assert refused.value.code == 13


def test_running_the_job_again_changes_nothing(mongo: Mongo) -> None:
    with mongo.client("root", mongo.files["root-password"]) as client:
        before = client.admin.command("usersInfo", 1, showCredentials=True)["users"]
        version = client.admin.command("replSetGetConfig")["config"]["version"]
        assert mongo.set_up() == 0, mongo.log
        assert mongo.events() == ["ready"]
        assert client.admin.command("usersInfo", 1, showCredentials=True)["users"] == before
        assert client.admin.command("replSetGetConfig")["config"]["version"] == version


def test_data_and_users_survive_a_restart(mongo: Mongo) -> None:
    with mongo.app() as client:
        client.berth.things.replace_one({"_id": "before"}, {"_id": "before"}, upsert=True)
    mongo.server.restart(timeout=30)

    def found() -> bool:
        with mongo.app() as client:
            return bool(client.admin.command("hello")["isWritablePrimary"]) and (
                client.berth.things.find_one({"_id": "before"}) is not None
            )

    eventually("the document after a restart", found, 30, (PyMongoError,))


def test_the_server_becomes_healthy(mongo: Mongo) -> None:
    eventually("health", lambda: mongo.lab.health(mongo.server) == "healthy", 40)


def test_a_job_that_is_killed_half_way_is_made_good_by_the_next(lab: Lab, images: Images, dev: Recorder) -> None:
    for delay in (0.6, 0.8, 1.0):
        made = Mongo.start(lab, images, dev, fresh_secrets(), f"killed-{delay}")
        job = lab.start(
            dev.named(container, "mongo-init"),
            images("service"),
            files=made.files,
            network_mode=f"container:{made.server.id}",
        )
        time.sleep(delay)
        lab.remove(job)
        assert made.set_up() == 0, made.log
        with made.app() as client:
            assert client.berth.things.insert_one({}).acknowledged
        lab.remove(made.server)


def test_data_of_a_stack_that_was_taken_down_are_taken_over(lab: Lab, images: Images, dev: Recorder) -> None:
    old = Mongo.start(lab, images, dev, fresh_secrets(), "kept")
    assert old.set_up() == 0, old.log
    with old.app() as client:
        client.berth.things.insert_one({"_id": "kept"})
    old.server.stop(timeout=30)
    lab.remove(old.server)

    new = Mongo.start(lab, images, dev, fresh_secrets(), "kept")
    assert new.set_up() == 0, new.log
    assert new.events() == ["took over", "updated", "ready"]
    with new.app() as client:
        assert client.berth.things.find_one({"_id": "kept"}) is not None
    for user, password in (("root", "root-password"), ("berth", "app-password")):
        with new.client(user, old.files[password]) as client, pytest.raises(OperationFailure):
            client.admin.command("ping")
    lab.remove(new.server)


def test_a_server_that_does_not_answer_is_a_failure_that_says_so(lab: Lab, images: Images, dev: Recorder) -> None:
    job = dev.named(container, "mongo-init")
    code, log = lab.run_job(job, images("service"), files=fresh_secrets(), network_mode="none", envs={"TIMEOUT": "1"})
    assert code == 1
    assert "gave up waiting for mongo-repl-1:27017 to start the replica set rs0" in json.loads(log)["error"]


def test_three_members_take_majority_writes_with_one_of_them_gone(lab: Lab, images: Images) -> None:
    prod = declare_program("prod")
    files = fresh_secrets()
    hosts = ["mongo-repl-1", "mongo-repl-2", "mongo-repl-3"]
    check = declare_program("dev").named(container, "mongo-repl-1").inputs["healthcheck"]
    servers = []
    for host in hosts:
        # Declared for the official image, which has another user and shell than the one built here.
        official = prod.named(container, host)
        declared = replace(official, inputs={**official.inputs, "healthcheck": check})
        servers.append(
            lab.start(
                declared, images("mongodb"), files={"mongo.key": files["mongo.key"]}, mount=host, user="1001:1001"
            )
        )
    job = prod.named(container, "mongo-init")
    mode = f"container:{servers[0].id}"
    code, log = lab.run_job(job, images("service"), files=files, network_mode=mode)
    assert code == 0, log

    # Names of members resolve inside only, so the client asks the member that the job prefers.
    def write(name: str) -> bool:
        for server in servers:
            if server.status == "gone":
                continue
            address = lab.address(server)
            with MongoClient[dict[str, Any]](
                address,
                directConnection=True,
                username="berth",
                password=files["app-password"],
                serverSelectionTimeoutMS=1000,
            ) as client:
                if not client.admin.command("hello")["isWritablePrimary"]:
                    continue
                things = client.berth.get_collection("things", write_concern=WriteConcern("majority", wtimeout=5000))
                # One that was written and not confirmed in time may be written again.
                return things.replace_one({"_id": name}, {"_id": name}, upsert=True).acknowledged
        return False

    eventually("a majority write", lambda: write("three"), 40, (PyMongoError,))
    lab.remove(servers.pop())
    eventually("a majority write with two", lambda: write("two"), 40, (PyMongoError,))
    for server in servers:
        lab.remove(server)
