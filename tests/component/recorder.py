"""Runs the program against Pulumi's mocks and shows what it would register."""

from __future__ import annotations

import asyncio
import json
import runpy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ClassVar

import pulumi
import pulumi.runtime
import yaml
from pulumi.runtime import rpc
from pulumi.runtime.mocks import MockMonitor

root = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Registered:
    """One registration; secrets among the inputs are :class:`pulumi.runtime.rpc` secrets, as on the wire."""

    type: str
    name: str
    urn: str
    inputs: dict[str, Any]
    request: Any


class _Answers(pulumi.runtime.Mocks):
    """What a resource answers beside its inputs; what an engine cannot know in a first preview stays unknown."""

    # A key as its kind makes it, because addresses are computed from it.
    account_key: ClassVar = "0x" + "5" * 64
    computed: ClassVar[dict[str, Callable[[str], dict[str, Any]]]] = {
        "docker:index/image:Image": lambda name: {"repoDigest": f"sha256:{name}"},
        "docker:index/remoteImage:RemoteImage": lambda name: {"imageId": f"sha256:official-{name}"},
        "docker:index/container:Container": lambda _: {"exitCode": 0, "containerLogs": ""},
        "pulumi-python:dynamic/berth:GeneratedSecret": lambda name: {
            "value": pulumi.Output.secret(_Answers.account_key if name.endswith("-account") else f"value-of-{name}")
        },
    }

    def new_resource(self, args: pulumi.runtime.MockResourceArgs) -> tuple[str | None, dict[str, Any]]:
        return f"{args.name}-id", {**args.inputs, **self.computed.get(args.typ, lambda _: {})(args.name)}

    def call(self, args: pulumi.runtime.MockCallArgs) -> Any:
        raise AssertionError(f"the program calls no function, but it called {args.token}")


class Recorder(MockMonitor):
    """Keeps every registration, with the options that the mocks do not show."""

    def __init__(self) -> None:
        super().__init__(_Answers())
        self.registered: list[Registered] = []

    def RegisterResource(self, request: Any) -> Any:  # noqa: N802  # the name is the protocol's
        response = super().RegisterResource(request)
        if request.type != "pulumi:pulumi:Stack":
            inputs = rpc.deserialize_properties(request.object)
            self.registered.append(Registered(request.type, request.name, response.urn, inputs, request))
        return response

    def of(self, type: str) -> list[Registered]:
        return [resource for resource in self.registered if resource.type == type]

    def named(self, type: str, name: str) -> Registered:
        found = [resource for resource in self.of(type) if resource.name == name]
        assert len(found) == 1, f"{len(found)} of {type} {name}"
        return found[0]


def plain(value: Any) -> Any:
    """A value without secret marks."""
    if rpc.is_rpc_secret(value):
        return plain(rpc.unwrap_rpc_secret(value))
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def stack_config(stack: str) -> dict[str, str]:
    """The configuration as the engine hands it to the program: namespaced, objects as JSON."""
    values = yaml.safe_load((root / "stacks" / f"Pulumi.{stack}.yaml").read_text())["config"]
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}


def declare(
    what: Callable[[], Any],
    stack: str = "dev",
    config: Mapping[str, str] | None = None,
    recorder: Recorder | None = None,
    secret_keys: Sequence[str] = (),
) -> Recorder:
    """Everything that ``what`` registers, in a preview of a stack that was never up."""
    recorder = recorder or Recorder()
    # Pulumi takes the thread's event loop, and asyncio.run, in a test before this one, leaves none.
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)
    pulumi.runtime.set_mocks(recorder.mocks, project="berth", stack=stack, preview=True, monitor=recorder)
    pulumi.runtime.set_all_config(dict(config or {}), list(secret_keys))

    @pulumi.runtime.test
    def run() -> None:
        what()

    run()
    loop.close()
    return recorder


def run_program() -> None:
    runpy.run_path(str(root / "__main__.py"))


@cache
def declare_program(stack: str) -> Recorder:
    """What the whole program registers for a stack file as it is committed."""
    return declare(run_program, stack, stack_config(stack))
