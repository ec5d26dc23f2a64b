"""What leases leave behind: containers that no stack declared, and that go with it all the same."""

from __future__ import annotations

from typing import Any

import docker
import pulumi
from docker.errors import NotFound
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

from providers.fields import SettingsError


class LeaseContainersProvider(ResourceProvider):
    """Makes nothing; removing it removes every container and network that bears the stack's lease labels."""

    def create(self, props: dict[str, Any]) -> CreateResult:
        return CreateResult(id_=f"leases-of-{props['stack']}", outs=dict(props))

    def diff(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> DiffResult:
        replaces = [key for key in ("stack",) if _olds.get(key) != _news.get(key)]
        return DiffResult(changes=_olds.get("network") != _news.get("network") or bool(replaces), replaces=replaces)

    def read(self, id_: str, props: dict[str, Any]) -> ReadResult:
        return ReadResult(id_, props, props)

    def update(self, _id: str, _olds: dict[str, Any], _news: dict[str, Any]) -> UpdateResult:
        return UpdateResult(dict(_news))

    def delete(self, _id: str, props: dict[str, Any]) -> None:
        """Errors: :class:`SettingsError` when Docker cannot be asked."""
        try:
            remove(props["stack"])
        except docker.errors.DockerException as error:
            raise SettingsError(f"leases of {props['stack']} cannot be removed: {error}") from error


def remove(stack: str) -> list[str]:
    """Removes them, containers first; the names of what went."""
    client = docker.from_env()
    gone: list[str] = []
    filters = {"label": [f"berth.stack={stack}", "berth.lease"]}
    try:
        for container in client.containers.list(all=True, filters=filters, ignore_removed=True):
            try:
                container.remove(force=True, v=True)
            except NotFound:
                continue  # somebody else was faster
            gone.append(str(container.name))
        for network in client.networks.list(filters=filters):
            network.remove()
            gone.append(str(network.name))
    finally:
        client.close()
    return gone


class LeaseContainers(Resource, module="berth", name="LeaseContainers"):
    """Depends on the bridge, so that it goes before that does."""

    def __init__(
        self, name: str, stack: str, network: pulumi.Input[str], opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__(LeaseContainersProvider(), name, {"stack": stack, "network": network}, opts)
