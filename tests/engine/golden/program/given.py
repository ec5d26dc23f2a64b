"""A dynamic resource with a generated secret."""

from typing import Any

import pulumi
from pulumi import dynamic


class _Given(dynamic.ResourceProvider):
    def create(self, props: dict[str, Any]) -> dynamic.CreateResult:
        return dynamic.CreateResult(f"given-{props['kind']}", {**props, "value": "not really a secret"})

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> dynamic.DiffResult:
        return dynamic.DiffResult(changes=_olds["kind"] != _news["kind"])


class Given(dynamic.Resource, module="golden", name="Given"):
    value: pulumi.Output[str]

    def __init__(self, name: str, kind: str, opts: pulumi.ResourceOptions) -> None:
        own = pulumi.ResourceOptions(additional_secret_outputs=["value"])
        super().__init__(_Given(), name, {"kind": kind, "value": None}, pulumi.ResourceOptions.merge(own, opts))
