"""A stack that is killed again and again, and what must be true of it afterwards.

The program has files as dynamic resources and a real network, volume and three containers; the setting ``turn``
changes some in place and replaces others, in both orders, with all that depends on them.
"""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from engine.backend.secrets import PassphraseManager
from engine.backend.state import StateFile
from tests.engine.docker.world import BASE

root = Path(__file__).resolve().parents[3]
PROVIDERS = """
import json, pathlib
import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

things = pathlib.Path(__file__).parent / "things"

def written(id, props):
    temporary = things.parent / f"{id}.new"
    temporary.write_text(json.dumps({key: props[key] for key in ("kind", "size")}))
    temporary.rename(things / id)

class Provider(ResourceProvider):
    def diff(self, id, olds, news):
        first = [] if olds["kind"] == news["kind"] else ["kind"]
        return DiffResult(bool(first) or olds["size"] != news["size"], first, [], bool(news["first"]))

    def create(self, props):
        id = f"{props['label']}-{props['kind']}"
        written(id, props)
        return CreateResult(id, {**props, "made": id})

    def update(self, id, olds, news):
        written(id, news)
        return UpdateResult({**news, "made": id})

    def read(self, id, props):
        if not (things / id).exists():
            return ReadResult("", {})
        return ReadResult(id, {**props, **json.loads((things / id).read_text())})

    def delete(self, id, props):
        (things / id).unlink(missing_ok=True)

class Thing(Resource, module="crash", name="Thing"):
    made: pulumi.Output[str]

    def __init__(self, name, kind, size=0, first=False, opts=None):
        props = {"label": name, "kind": kind, "size": size, "first": first, "made": None}
        super().__init__(Provider(), name, props, opts)
"""
PROGRAM = """
import pulumi
import pulumi_docker as docker
from providers import Thing

config = pulumi.Config()
turn, fresh, mark = config.require_int("turn"), config.require_int("fresh"), config.require("mark")

def labels(type, name, kind=docker.ContainerLabelArgs, **more):
    urn = f"urn:pulumi:dev::crash::{type}::{name}"
    return [kind(label=key, value=value) for key, value in {"own": urn, "berth.test": mark, **more}.items()]

a = Thing("a", f"k{fresh // 2}")
b = Thing("b", a.made, first=True)
c = Thing("c", "k", size=turn)
d = Thing("d", b.made.apply(lambda made: f"of-{made}"), size=turn % 3)
network = docker.Network("net", name=f"{mark}-net", labels=labels(
    "docker:index/network:Network", "net", docker.NetworkLabelArgs, turn=str(turn // 4)))
auto = docker.Network("auto", labels=labels(
    "docker:index/network:Network", "auto", docker.NetworkLabelArgs, turn=str(turn % 2)))
volume = docker.Volume("data", name=f"{mark}-data", labels=labels(
    "docker:index/volume:Volume", "data", docker.VolumeLabelArgs))
for number, (env, memory) in enumerate([("same", 64), (f"turn-{turn % 3}", 64), ("same", 64 + turn % 2)]):
    docker.Container(
        f"box-{number}",
        name=f"{mark}-box-{number}",
        image="IMAGE",
        command=["sleep", "infinity"],
        envs=[f"TURN={env}", "PATH=/usr/bin"],
        memory=memory,
        memory_swap=2 * memory,
        networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=network.name)],
        volumes=[docker.ContainerVolumeArgs(volume_name=volume.name, container_path="/data")],
        uploads=[docker.ContainerUploadArgs(file="/etc/turn", content=env)],
        labels=labels("docker:index/container:Container", f"box-{number}"),
        opts=pulumi.ResourceOptions(depends_on=[c]),
    )
pulumi.export("turn", turn)
"""

DYING = """
import os, sys
from engine.backend import state
from engine.cli.main import main

number, moment = int(sys.argv.pop(1)), sys.argv.pop(1)
write, writes = state.write_atomic, 0

def dying(*args, **kwargs):
    global writes
    writes += 1
    if writes == number and moment == "before":
        os.kill(os.getpid(), 9)
    write(*args, **kwargs)
    if writes == number:
        os.kill(os.getpid(), 9)

state.write_atomic = dying
main()
"""


def docker(*words: str) -> str:
    """One command's output; waits for a daemon that is away."""
    for _ in range(600):
        done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return done.stdout.strip()
        if "Cannot connect" not in done.stderr and "connection refused" not in done.stderr:
            raise AssertionError(f"docker {' '.join(words)}: {done.stderr}")
        time.sleep(1)
    raise AssertionError("the Docker daemon stayed away for ten minutes")


@dataclass
class World:
    """One stack in ``folder``; everything that is made bears the label ``berth.test=<mark>``."""

    folder: Path
    seed: int
    mark: str = field(default_factory=lambda: f"berth-crash-{uuid.uuid4().hex[:8]}")
    turn: int = 0
    fresh: int = 0  # never goes back: what replaces a thing must not have the id of one that still has to go
    kills: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    warned: set[str] = field(default_factory=set)  # resources whose creation was said to have an unknown outcome

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self._secrets: PassphraseManager | None = None  # kept, since its key takes long to derive
        (self.folder / "things").mkdir()
        (self.folder / "Pulumi.yaml").write_text(
            '{"name": "crash", "runtime": "python", "backend": {"url": "file://."}}'
        )
        (self.folder / "providers.py").write_text(PROVIDERS)
        (self.folder / "__main__.py").write_text(PROGRAM.replace("IMAGE", BASE))
        self.run("stack", "init", "dev")
        self.ahead(0)

    @property
    def environment(self) -> dict[str, str]:
        own = {"PYTHONPATH": str(root), "PULUMI_CONFIG_PASSPHRASE": "x", "PULUMI_HOME": str(self.folder / "home")}
        return {**os.environ, **own, "CRASH_MARK": self.mark}

    def start(self, *words: str, engine: tuple[str, ...] = ("-m", "engine")) -> subprocess.Popen[str]:
        command = [sys.executable, *engine, *words]
        log = (self.folder / "log").open("w")
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=log, stderr=subprocess.STDOUT, text=True
        )

    def run(self, *words: str) -> str:
        """A command that must succeed."""
        while True:
            code, text = self.start(*words).wait(), self.log()
            if code and "cannot be reached" in text:
                docker("version")  # which waits for the daemon; it ended all containers when it ended
                if words[0] != "refresh":
                    self.run("refresh", "--yes", "--skip-preview")
                continue
            assert code == 0, f"{' '.join(words)} (seed {self.seed}, kill {self.kills}):\n{text}"
            return text

    def log(self) -> str:
        """What the last command printed."""
        text = (self.folder / "log").read_text()
        self.warned.update(re.findall(r"::([^:]+), interrupted while creating", text))
        return text

    def operate(self, verb: str) -> str:
        began = time.monotonic()
        text = self.run(verb, "--yes", "--skip-preview")
        self.seconds[verb] = time.monotonic() - began
        return text

    def ahead(self, steps: int) -> None:
        """The program wants something else from now on."""
        self.turn, self.fresh = self.turn + steps, self.fresh + abs(steps)
        config = {"crash:turn": str(self.turn), "crash:fresh": str(self.fresh), "crash:mark": self.mark}
        (self.folder / "Pulumi.dev.yaml").write_text(json.dumps({"config": config}))

    def kill(self, verb: str) -> bool:
        """Kill the engine at a random moment of ``verb``; False when it was done before."""
        process = self.start(verb, "--yes", "--skip-preview")
        length = self.seconds.get(verb, 3.0)
        time.sleep(self.random.uniform(0.15, 1.0) * length)
        process.send_signal(signal.SIGKILL)
        killed = process.wait() == -signal.SIGKILL
        self.log()
        self.kills += killed
        self.seconds[verb] = length * (1.0 if killed else 0.9)
        self.no_process_is_left()
        return killed

    def kill_at_write(self, verb: str, number: int, moment: str) -> bool:
        """Kill the engine right before or after it writes the state for the ``number``-th time."""
        process = self.start(verb, "--yes", "--skip-preview", engine=("-c", DYING, str(number), moment))
        killed = process.wait() == -signal.SIGKILL
        self.log()
        assert killed or process.returncode == 0, self.where
        self.kills += killed
        self.no_process_is_left()
        return killed

    def no_process_is_left(self) -> None:
        """Program, providers and clients end with the engine."""
        for _ in range(100):
            left = [pid for pid in Path("/proc").glob("[0-9]*") if self._ours(pid)]
            if not left:
                return
            time.sleep(0.1)
        names = [(pid / "cmdline").read_text().replace("\0", " ") for pid in left]
        raise AssertionError(f"left behind by the engine (seed {self.seed}, kill {self.kills}): {names}")

    def _ours(self, pid: Path) -> bool:
        try:
            return f"CRASH_MARK={self.mark}".encode() in (pid / "environ").read_bytes().split(b"\0")
        except OSError:
            return False

    def round(self) -> None:
        """One or two kills, and the ``up`` that must set everything right."""
        for _ in range(self.random.choice((1, 1, 1, 2))):
            verb = self.random.choice(("up", "up", "up", "refresh", "destroy"))
            self.ahead(self.random.choice((0, 1, 1, 2)))
            self.kill(verb)
        self.ahead(self.random.choice((0, 0, 0, 1, -1)))
        self.operate("up")
        self.holds()

    # What must be true

    def listed(self, what: str) -> list[str]:
        every = ["--all"] if what == "container" else []
        found = docker(what, "ls", *every, "--quiet", "--filter", f"label=berth.test={self.mark}")
        return found.splitlines()

    def shown(self, what: str) -> dict[str, dict[str, Any]]:
        """Objects of ours by name; a second one of a name is an error."""
        listed = self.listed(what)
        found = json.loads(docker(what, "inspect", *listed)) if listed else []
        by_name = {each["Name"].lstrip("/"): each for each in found}
        assert len(by_name) == len(found), f"twice: {sorted(each['Name'] for each in found)} {self.where}"
        return by_name

    @property
    def where(self) -> str:
        return f"(seed {self.seed}, kill {self.kills}, turn {self.turn}, {self.folder})\n{self.log()}"

    def state(self) -> list[Any]:
        path, name = self.folder / ".pulumi/stacks/crash/dev.json", "organization/crash/dev"
        if self._secrets is None:
            self._secrets = PassphraseManager(StateFile(path, name, None).salt(), lambda: "x")
        file = StateFile(path, name, self._secrets)
        snapshot = file.load()  # which checks its integrity
        assert snapshot.pending_operations == [], self.where
        assert not any(r.delete or r.pending_replacement or r.init_errors for r in snapshot.resources), self.where
        return snapshot.resources

    def holds(self) -> None:
        """Exactly what the program wants is there, and the state says so."""
        turn, mark = self.turn, self.mark
        every = self.state()
        resources = {resource.name: resource for resource in every if not resource.is_provider}
        assert len(resources) == 11, f"{[resource.urn for resource in every]} {self.where}"
        containers, networks, volumes = (self.shown(what) for what in ("container", "network", "volume"))
        assert sorted(containers) == [f"{mark}-box-{n}" for n in range(3)], self.where
        assert len(networks) == 2, f"{sorted(networks)} {self.where}"
        assert list(volumes) == [f"{mark}-data"], self.where
        network, auto = networks[f"{mark}-net"], networks[resources["auto"].inputs["name"]]
        assert (network["Id"], auto["Id"]) == (resources["net"].id, resources["auto"].id), self.where
        assert network["Labels"]["turn"] == str(turn // 4), self.where
        assert auto["Labels"]["turn"] == str(turn % 2), self.where
        for number, (env, memory) in enumerate([("same", 64), (f"turn-{turn % 3}", 64), ("same", 64 + turn % 2)]):
            box = containers[f"{mark}-box-{number}"]
            assert box["Id"] == resources[f"box-{number}"].id, self.where
            assert box["State"]["Running"], self.where
            assert f"TURN={env}" in box["Config"]["Env"], self.where
            assert box["HostConfig"]["Memory"] == memory * 2**20, self.where
            assert list(box["NetworkSettings"]["Networks"]) == [f"{mark}-net"], self.where
            # Files come before the start, which is what is looked at after an interruption.
            assert number != 1 or docker("exec", box["Id"], "cat", "/etc/turn") == env, self.where
        kind = f"k{self.fresh // 2}"
        wanted = {
            f"a-{kind}": (kind, 0),
            f"b-a-{kind}": (f"a-{kind}", 0),
            "c-k": ("k", turn),
            f"d-of-b-a-{kind}": (f"of-b-a-{kind}", turn % 3),
        }
        for path in (self.folder / "things").iterdir():
            # Nobody but a person can tell what became of an interrupted creation that the program no longer wants
            # in that form; the engine has to name it, and that is what this person goes by.
            if path.name not in wanted and path.name.split("-")[0] in self.warned:
                path.unlink()
        self.warned.clear()
        things = {path.name: json.loads(path.read_text()) for path in (self.folder / "things").iterdir()}
        assert {name: (thing["kind"], thing["size"]) for name, thing in things.items()} == wanted, self.where
        hidden = [path for path in (self.folder / ".pulumi").rglob(".*") if path.is_file()]
        assert hidden == [], f"half-written files were left: {hidden} {self.where}"

    def ends_with_nothing(self) -> None:
        self.operate("destroy")
        assert self.state() == [], self.where
        left = {what: self.listed(what) for what in ("container", "network", "volume")}
        assert left == {"container": [], "network": [], "volume": []}, self.where
        assert list((self.folder / "things").iterdir()) == [], self.where

    def clear(self) -> None:
        """Whatever became of the test: nothing of ours stays."""
        for what, force in (("container", ["--force", "--volumes"]), ("network", []), ("volume", ["--force"])):
            if listed := self.listed(what):
                docker(what, "rm", *force, *listed)
