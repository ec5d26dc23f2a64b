"""Set up a MongoDB replica set: initiate it, wait for its primary, create its users.

Runs in the network namespace of the first member, so that it comes from localhost: a server that has no user
yet lets only such a client create the first one.  Every step looks before it acts; running it again, or after
it was killed half-way, ends in the same place.

Environment: ``REPLICA_SET``; ``MEMBERS``, comma-separated ``host:port``, the first being this namespace's own
server; ``KEY_FILE``, ``ROOT_PASSWORD_FILE``, ``APP_PASSWORD_FILE``; ``TIMEOUT`` in seconds.
Exit code 0 when all is as asked, 1 with one log line that says what is not.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import structlog
from pymongo import MongoClient
from pymongo.errors import OperationFailure, PyMongoError

log: Final = structlog.get_logger(job="mongo-init")

Client = MongoClient[dict[str, Any]]

poll_seconds: Final = 0.2
root: Final = "root"
app: Final = "berth"
app_database: Final = "berth"

# Server error codes, as its error_codes.yml names them.
unauthorized: Final = 13
authentication_failed: Final = 18
already_initialized: Final = 23
user_exists: Final = 51003


class SetupError(Exception):
    """The set could not be brought to where it should be; the message says what is missing."""


@dataclass(frozen=True)
class Job:
    replica_set: str
    members: tuple[str, ...]
    key: str
    root_password: str
    app_password: str
    deadline: float

    @classmethod
    def from_environment(cls) -> Job:
        """Errors: :class:`SetupError` naming the variable that is missing or names no readable file."""
        try:
            return cls(
                replica_set=os.environ["REPLICA_SET"],
                members=tuple(os.environ["MEMBERS"].split(",")),
                key="".join(Path(os.environ["KEY_FILE"]).read_text().split()),
                root_password=Path(os.environ["ROOT_PASSWORD_FILE"]).read_text().strip(),
                app_password=Path(os.environ["APP_PASSWORD_FILE"]).read_text().strip(),
                deadline=time.monotonic() + float(os.environ.get("TIMEOUT", "120")),
            )
        except KeyError as error:
            raise SetupError(f"environment variable {error} is not set") from error
        except OSError as error:
            raise SetupError(f"a secret file cannot be read: {error}") from error

    def connect(self, username: str = "", password: str = "", source: str = "admin") -> Client:
        """This namespace's own server, whether or not it is in a set."""
        login: dict[str, Any] = {"username": username, "password": password, "authSource": source} if username else {}
        host, _, port = self.members[0].rpartition(":")
        del host  # localhost is what makes the server trust a first user
        return MongoClient(
            "127.0.0.1", int(port), directConnection=True, serverSelectionTimeoutMS=2000, tz_aware=True, **login
        )

    def wait(self, what: str, test: Callable[[], bool]) -> None:
        """Poll until ``test`` holds.  Errors: :class:`SetupError` at the deadline, naming ``what`` and the cause."""
        last = "no answer"
        while time.monotonic() < self.deadline:
            try:
                if test():
                    return
                last = "not yet"
            except PyMongoError as error:
                last = str(error)[:300]
            time.sleep(poll_seconds)
        raise SetupError(f"gave up waiting for {what}: {last}")


def wanted_config(job: Job) -> dict[str, Any]:
    """The replica set's configuration; the first member is preferred, as it is the one the job can reach."""
    members = [
        {"_id": number, "host": host, "priority": 2 if number == 0 else 1} for number, host in enumerate(job.members)
    ]
    return {"_id": job.replica_set, "version": 1, "members": members}


def can_log_in(job: Job, username: str, password: str, source: str = "admin") -> bool:
    with job.connect(username, password, source) as client:
        try:
            client.admin.command("ping")
        except OperationFailure as error:
            if error.code == authentication_failed:
                return False
            raise
    return True


def initiate(job: Job) -> None:
    """Make the set, unless this server is in it."""

    def try_once() -> bool:
        with job.connect() as client:
            if client.admin.command("hello").get("setName") == job.replica_set:
                return True
        # From localhost without a user; a server that has users already (its set was lost) asks for one.
        for client in (job.connect(), job.connect(root, job.root_password), job.connect("__system", job.key, "local")):
            with client:
                try:
                    client.admin.command("replSetInitiate", wanted_config(job))
                except OperationFailure as error:
                    if error.code in (unauthorized, authentication_failed):
                        continue
                    if error.code != already_initialized:
                        raise
                log.info("initiated", replica_set=job.replica_set, members=job.members)
                return True
        return False

    job.wait(f"{job.members[0]} to start the replica set {job.replica_set}", try_once)


def wait_for_primary(job: Job) -> None:
    def is_primary() -> bool:
        with job.connect() as client:
            return bool(client.admin.command("hello").get("isWritablePrimary"))

    job.wait(f"{job.members[0]} to become primary", is_primary)


def ensure_root(job: Job) -> None:
    """Root exists with our password: created from localhost, or given it anew by the key file."""
    if can_log_in(job, root, job.root_password):
        return
    user = {"createUser": root, "pwd": job.root_password, "roles": ["root"]}
    with job.connect() as client:
        try:
            client.admin.command(user)
        except OperationFailure as error:
            if error.code not in (unauthorized, user_exists):
                raise
        else:
            log.info("created", user=root)
            return
    # The data outlived the stack that made it, and with it the old password.  The holder of the key file is
    # the cluster itself, which may do anything: it hands the new password out.
    if not can_log_in(job, "__system", job.key, "local"):
        raise SetupError("the server knows neither the root password nor the key file: are its data another stack's?")
    with job.connect("__system", job.key, "local") as client:
        client.admin.command("updateUser", root, pwd=job.root_password, roles=["root"])
    log.info("took over", user=root)


def ensure_app(job: Job) -> None:
    """The services' user: reads and writes one database, with our password."""
    if can_log_in(job, app, job.app_password):
        return
    roles = [{"role": "readWrite", "db": app_database}]
    with job.connect(root, job.root_password) as client:
        known = client.admin.command("usersInfo", app)["users"]
        verb = "updateUser" if known else "createUser"
        client.admin.command(verb, app, pwd=job.app_password, roles=roles, writeConcern={"w": "majority"})
    log.info("updated" if known else "created", user=app)


def ensure_members(job: Job) -> None:
    """Add and remove members, one at a time as the server demands, until they are the wanted ones."""
    with job.connect(root, job.root_password) as client:

        def step() -> bool:
            config = client.admin.command("replSetGetConfig")["config"]
            hosts = [member["host"] for member in config["members"]]
            missing = [host for host in job.members if host not in hosts]
            surplus = [host for host in hosts if host not in job.members]
            if missing:
                number = max(member["_id"] for member in config["members"]) + 1
                config["members"].append({"_id": number, "host": missing[0], "priority": 1})
            elif surplus:
                config["members"] = [member for member in config["members"] if member["host"] != surplus[0]]
            else:
                return True
            config["version"] += 1
            client.admin.command("replSetReconfig", config)
            log.info("reconfigured", added=missing[:1], removed=surplus[:1] if not missing else [])
            return False

        job.wait(f"the members {', '.join(job.members)}", step)


def run(job: Job) -> None:
    """All steps in order.  Errors: :class:`SetupError`, and what the server refuses as ``PyMongoError``."""
    initiate(job)
    wait_for_primary(job)
    ensure_root(job)
    ensure_members(job)
    ensure_app(job)
    log.info("ready", replica_set=job.replica_set, members=job.members)


def main() -> int:
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
            structlog.processors.JSONRenderer(),
        ],
    )
    try:
        run(Job.from_environment())
    except (SetupError, PyMongoError) as error:
        log.error("failed", error=str(error)[:500])
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
