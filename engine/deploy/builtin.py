"""The provider of package ``pulumi``: stack references, and looking up resources of this operation."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from engine.model import PropertyMap, Resource, contains_secret
from engine.provider import CheckFailure, CheckResult, CreateResult, DiffResult, Log, ProviderError, ReadResult

stack_reference = "pulumi:pulumi:StackReference"


class BuiltinProvider:
    """``outputs`` gives another stack's outputs by name, ``news`` a resource that this operation has dealt with."""

    def __init__(self, outputs: Callable[[str], PropertyMap] | None, news: Callable[[str], Resource | None]) -> None:
        self._outputs, self._news = outputs, news

    def configure(self, inputs: PropertyMap) -> None:
        pass

    def check(self, urn: str, olds: PropertyMap, news: PropertyMap) -> CheckResult:
        _require_reference(urn)
        unknown = [CheckFailure(key, f'unknown property "{key}"') for key in news if key != "name"]
        missing = [] if "name" in news else [CheckFailure("name", 'missing required property "name"')]
        return CheckResult(news, unknown + missing)

    def diff(
        self, urn: str, id: str, old_inputs: PropertyMap, old_outputs: PropertyMap, news: PropertyMap, ignore: list[str]
    ) -> DiffResult:
        changed = old_inputs.get("name") != news.get("name")
        return DiffResult(changed, ["name"] if changed else [])

    def create(self, urn: str, inputs: PropertyMap, timeout: float, preview: bool, log: Log) -> CreateResult:
        return CreateResult("" if preview else str(uuid.uuid4()), self._read(inputs["name"]))

    def read(self, urn: str, id: str, inputs: PropertyMap, outputs: PropertyMap, log: Log) -> ReadResult:
        _require_reference(urn)
        if "name" not in inputs:
            raise ProviderError("a stack reference cannot be imported")
        return ReadResult(id, self._read(inputs["name"]), inputs)

    def update(
        self,
        urn: str,
        id: str,
        old_inputs: PropertyMap,
        old_outputs: PropertyMap,
        news: PropertyMap,
        timeout: float,
        ignore: list[str],
        preview: bool,
        log: Log,
    ) -> PropertyMap:
        return self._read(news["name"])

    def delete(self, urn: str, id: str, inputs: PropertyMap, outputs: PropertyMap, timeout: float, log: Log) -> None:
        pass

    def invoke(self, token: str, args: PropertyMap) -> PropertyMap:
        if token == "pulumi:pulumi:readStackOutputs":
            return self._read(args["name"])
        if token == "pulumi:pulumi:getResource":
            resource = self._news(args["urn"])
            if resource is None:
                raise ProviderError(f"unknown resource {args['urn']}")
            found = {"urn": resource.urn, "id": resource.id, "provider": resource.provider}
            return {**found, "state": resource.outputs}
        raise ProviderError(f"the embedded engine does not implement the function {token}")

    def close(self) -> None:
        pass

    def _read(self, name: str) -> PropertyMap:
        if self._outputs is None:
            raise ProviderError(f"the outputs of stack {name} cannot be read: there is no backend to read them from")
        outputs = self._outputs(name)
        secrets = sorted(key for key, value in outputs.items() if contains_secret(value))
        return {"name": name, "outputs": outputs, "secretOutputNames": secrets}


def _require_reference(urn: str) -> None:
    type = urn.split("::")[2].rsplit("$", 1)[-1]
    if type != stack_reference:
        raise ProviderError(f"the embedded engine does not implement the resource type {type}")
