"""The calls of an engine in short, for tests on the real daemon; what a test made is kept in a list."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass, field
from typing import Any

from engine.docker import DockerProvider
from engine.docker.client import Client
from engine.model import PropertyMap, Secret
from engine.provider import Call, DiffResult, Found, PartialFailure

BASE = "debian:bookworm-slim"
NETWORK = "docker:index/network:Network"
VOLUME = "docker:index/volume:Volume"
CONTAINER = "docker:index/container:Container"
REMOTE = "docker:index/remoteImage:RemoteImage"
IMAGE = "docker:index/image:Image"
LABELS = [{"label": "berth.test", "value": "engine-docker"}]


def urn(token: str, name: str = "it") -> str:
    return f"urn:pulumi:dev::berth::berth:platform:Thing${token}::{name}"


@dataclass
class Made:
    """One resource as an engine would keep it."""

    token: str
    id: str
    inputs: PropertyMap
    outputs: PropertyMap


@dataclass
class World:
    """The calls of an engine, in short; ``lines`` are the log lines of the last call."""

    provider: DockerProvider
    client: Client
    prefix: str
    made: list[Made] = field(default_factory=list)
    lines: list[str] = field(default_factory=list)

    def name(self, short: str) -> str:
        return f"{self.prefix}-{short}"

    def log(self, severity: str, message: str, ephemeral: bool) -> None:
        self.lines.append(message)

    def call(self, made: Made, news: PropertyMap | None = None) -> Call:
        return Call(urn(made.token), made.id, made.inputs, made.outputs, news or {}, log=self.log)

    def check(self, token: str, news: PropertyMap, olds: PropertyMap | None = None) -> PropertyMap:
        result = self.provider.check(Call(urn(token), inputs=olds or {}, news=news))
        assert result.failures == []
        return result.inputs

    def create(self, token: str, news: PropertyMap) -> Made:
        self.lines.clear()
        inputs = self.check(token, news)
        try:
            result = self.provider.create(Call(urn(token), news=inputs, log=self.log))
        except PartialFailure as partial:
            self.made.append(Made(token, partial.id, inputs, partial.outputs))
            raise
        self.made.append(Made(token, result.id, inputs, plain(result)))
        return self.made[-1]

    def diff(self, made: Made, news: PropertyMap) -> DiffResult:
        inputs = self.check(made.token, news, made.inputs)
        return self.provider.diff(self.call(made, inputs))

    def update(self, made: Made, news: PropertyMap) -> None:
        inputs = self.check(made.token, news, made.inputs)
        outputs = self.provider.update(self.call(made, inputs))
        made.inputs, made.outputs = inputs, outputs

    def read(self, made: Made) -> Found:
        return self.provider.read(self.call(made))

    def refresh(self, made: Made) -> None:
        result = self.read(made)
        made.id, made.outputs = result.id, result.outputs
        made.inputs = result.inputs or {}

    def delete(self, made: Made) -> None:
        self.provider.delete(self.call(made))

    def inspect(self, made: Made) -> Any:
        return self.client.find(f"/containers/{made.id}/json")

    def run(self, made: Made, *command: str) -> str:
        answer = subprocess.run(
            ["docker", "exec", made.id, *command], capture_output=True, text=True, check=True, timeout=30
        )
        return answer.stdout


def plain(result: Found) -> PropertyMap:
    """Outputs as a provider gets them back: without marks."""
    return {key: value.value if isinstance(value, Secret) else value for key, value in result.outputs.items()}


def sleeping(name: str, **more: Any) -> PropertyMap:
    return {"name": name, "image": BASE, "labels": LABELS, "command": ["sleep", "300"], "init": True, **more}
