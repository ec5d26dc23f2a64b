"""The provider of package ``pulumi``: stack references, and looking up resources of this operation."""

from __future__ import annotations

import uuid
from collections.abc import Callable

from engine.model import PropertyMap, Resource, contains_secret
from engine.provider import Call, CheckFailure, CheckResult, DiffResult, Found, Provider, ProviderError


class BuiltinProvider(Provider):
    """``outputs`` gives another stack's outputs by name, ``news`` a resource that this operation has dealt with."""

    def __init__(self, outputs: Callable[[str], PropertyMap] | None, news: Callable[[str], Resource | None]) -> None:
        self._outputs, self._news = outputs, news

    def check(self, call: Call) -> CheckResult:
        _require_reference(call.urn)
        unknown = [CheckFailure(key, f'unknown property "{key}"') for key in call.news if key != "name"]
        missing = [] if "name" in call.news else [CheckFailure("name", 'missing required property "name"')]
        return CheckResult(call.news, unknown + missing)

    def diff(self, call: Call) -> DiffResult:
        changed = call.inputs.get("name") != call.news.get("name")
        return DiffResult(changed, ["name"] if changed else [])

    def create(self, call: Call) -> Found:
        return Found("" if call.preview else str(uuid.uuid4()), self._read(call.news["name"]))

    def read(self, call: Call) -> Found:
        _require_reference(call.urn)
        if "name" not in call.inputs:
            raise ProviderError("a stack reference cannot be imported")
        return Found(call.id, self._read(call.inputs["name"]), call.inputs)

    def update(self, call: Call) -> PropertyMap:
        return self._read(call.news["name"])

    def delete(self, call: Call) -> None:
        """There is nothing but the state."""

    def invoke(self, token: str, args: PropertyMap) -> PropertyMap:
        if token == "pulumi:pulumi:readStackOutputs":
            return self._read(args["name"])
        if token != "pulumi:pulumi:getResource":
            return super().invoke(token, args)
        resource = self._news(args["urn"])
        if resource is None:
            raise ProviderError(f"unknown resource {args['urn']}")
        return {"urn": resource.urn, "id": resource.id, "provider": resource.provider, "state": resource.outputs}

    def _read(self, name: str) -> PropertyMap:
        if self._outputs is None:
            raise ProviderError(f"the outputs of stack {name} cannot be read: there is no backend to read them from")
        outputs = self._outputs(name)
        secrets = sorted(key for key, value in outputs.items() if contains_secret(value))
        return {"name": name, "outputs": outputs, "secretOutputNames": secrets}


def _require_reference(urn: str) -> None:
    type = urn.split("::")[2].rsplit("$", 1)[-1]
    if type != "pulumi:pulumi:StackReference":
        raise ProviderError(f"the embedded engine does not implement the resource type {type}")
