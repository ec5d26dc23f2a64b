"""What every component has in common: its children's options, names, labels and limits.

A component makes its Docker resources with :meth:`Component.container`, :meth:`Component.volume` and
:meth:`Component.image`, so that naming, ``berth.*`` labels and hardening live in this one place.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import pulumi
import pulumi_docker as docker

T = TypeVar("T")

service_user: Final = "1001:1001"
"""The unprivileged user of our own images."""

files_directory: Final = "/run/berth"
"""Where a container finds the files (secrets, configuration) that its component gives it."""


@dataclass(frozen=True)
class Limits:
    """What one container may use: memory in MiB, processors as Docker writes them."""

    memory: int
    cpus: str = "1.0"


@dataclass(frozen=True)
class Attachment:
    """A container's place on a network; a fixed address where others must know it beforehand."""

    network: pulumi.Input[str]
    aliases: tuple[str, ...] = ()
    address: str | None = None


class Component(pulumi.ComponentResource):
    """A component of type token ``kind``, for example ``berth:platform:Network``."""

    def __init__(self, kind: str, name: str, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__(kind, name, None, opts)
        parent = opts.parent if opts is not None else None
        self._types: str = f"{parent._types}${kind}" if isinstance(parent, Component) else kind

    def child(self, **options: Any) -> pulumi.ResourceOptions:
        """Options for a child: this component as its parent, and what else is given."""
        return pulumi.ResourceOptions.merge(
            pulumi.ResourceOptions(parent=self), pulumi.ResourceOptions(**options) if options else None
        )

    def docker_name(self, name: str) -> str:
        """``berth-<stack>-<name>``: what people see in ``docker ps``, and unique on a host."""
        return f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}"

    def urn_of(self, kind: type[pulumi.CustomResource], name: str) -> str:
        """The URN that a child of this component gets; known before it is registered."""
        token = kind.pulumi_type  # type: ignore[attr-defined]  # every generated resource class has it
        return f"urn:pulumi:{pulumi.get_stack()}::{pulumi.get_project()}::{self._types}${token}::{name}"

    def labels(self, kind: type[pulumi.CustomResource], name: str) -> dict[str, str]:
        """By these labels a Docker object is found again, whatever happened to the state."""
        return {"berth.stack": f"{pulumi.get_project()}/{pulumi.get_stack()}", "berth.urn": self.urn_of(kind, name)}

    def volume(self, name: str, sockets_of: str = "", **options: Any) -> docker.Volume:
        """A named volume.  Destroying the stack keeps it: data goes only when somebody asks for just that.

        With ``sockets_of`` (uid:gid) it is in memory, for sockets that containers share; its folder is that user's,
        whoever comes first.
        """
        labels = self.labels(docker.Volume, name)
        uid, _, gid = sockets_of.partition(":")
        memory = {"type": "tmpfs", "device": "tmpfs", "o": f"size=1m,mode=0755,uid={uid},gid={gid}"}
        return docker.Volume(
            name,
            name=self.docker_name(name),
            driver="local" if sockets_of else None,
            driver_opts=memory if sockets_of else None,
            labels=[docker.VolumeLabelArgs(label=key, value=value) for key, value in labels.items()],
            opts=self.child(retain_on_delete=True, **options),
        )

    def container(
        self,
        name: str,
        *,
        image: pulumi.Input[str],
        limits: Limits,
        networks: Sequence[Attachment] = (),
        envs: Mapping[str, pulumi.Input[str]] | None = None,
        files: Mapping[str, pulumi.Input[str]] | None = None,
        volumes: Mapping[str, docker.Volume] | None = None,
        reads: Mapping[str, docker.Volume] | None = None,
        restart: str = "unless-stopped",
        user: str = service_user,
        read_only: bool | None = None,
        tmpfs: Mapping[str, str] | None = None,
        add_capabilities: Sequence[str] = (),
        options: pulumi.ResourceOptions | None = None,
        **arguments: Any,
    ) -> docker.Container:
        """A container with our name, labels, limits and hardening; ``arguments`` go to ``docker.Container`` as given.

        It has no capability but ``add_capabilities``, gains no privilege, and writes only to ``volumes`` (path in
        the container -> volume) and to ``tmpfs`` (``/tmp`` unless given);
        volumes in ``reads`` it can only read.  ``files`` (name -> content) appear
        below :data:`files_directory`, before it starts.  With ``network_mode`` among the arguments there is no
        host name and no network of its own.
        """
        arguments.setdefault("log_driver", "json-file")
        arguments.setdefault("log_opts", {"max-size": "10m", "max-file": "3"})
        if "network_mode" not in arguments:
            arguments.setdefault("hostname", name)
        if networks:
            arguments["networks_advanced"] = [
                docker.ContainerNetworksAdvancedArgs(
                    name=place.network, aliases=[name, *place.aliases], ipv4_address=place.address
                )
                for place in networks
            ]
        if envs:
            arguments["envs"] = [pulumi.Output.concat(key, "=", value) for key, value in sorted(envs.items())]
        if volumes or reads:
            arguments["volumes"] = [
                *(
                    docker.ContainerVolumeArgs(container_path=path, volume_name=each.name)
                    for path, each in (volumes or {}).items()
                ),
                *(
                    docker.ContainerVolumeArgs(container_path=path, volume_name=each.name, read_only=True)
                    for path, each in (reads or {}).items()
                ),
            ]
        if files:
            # Root's, and not to be changed by the service.  A service that is not root can read what everybody in its
            # container can: Docker uploads in root's name.
            permissions = "0400" if user.startswith("0:") else "0444"
            arguments["uploads"] = [
                docker.ContainerUploadArgs(file=f"{files_directory}/{file}", content=content, permissions=permissions)
                for file, content in files.items()
            ]
        labels = self.labels(docker.Container, name)
        # A replacement has the same name, ports and volumes: the old one must be gone first.
        own = self.child(delete_before_replace=True)
        return docker.Container(
            name,
            name=self.docker_name(name),
            image=image,
            labels=[docker.ContainerLabelArgs(label=key, value=value) for key, value in labels.items()],
            user=user,
            # Docker uploads no file into a container whose root file system is read-only.  With files it is root's
            # instead, which the service's user cannot write to either.
            read_only=not files if read_only is None else read_only,
            tmpfs=dict(tmpfs) if tmpfs is not None else {"/tmp": "rw,noexec,nosuid,nodev,size=16m"},
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"], adds=list(add_capabilities) or None),
            security_opts=["no-new-privileges:true"],
            memory=limits.memory,
            # Docker's own choice.  Said, because the Pulumi CLI's provider takes a limit that nobody gave for a change.
            memory_swap=2 * limits.memory,
            cpus=limits.cpus,
            restart=restart,
            must_run=arguments.pop("must_run", True),
            # Otherwise a container that is to be removed is killed: databases and the chain want to save.
            destroy_grace_seconds=arguments.pop("destroy_grace_seconds", 20),
            opts=pulumi.ResourceOptions.merge(own, options),
            **arguments,
        )

    def job(self, name: str, *, limits: Limits, **arguments: Any) -> docker.Container:
        """A container that runs once, to its end; ``up`` waits for it and fails, with its log, when it fails.

        Arguments as for :meth:`container`.  Use :func:`finished` for what must come after it.
        """
        return self.container(name, limits=limits, restart="no", attach=True, logs=True, must_run=False, **arguments)

    def image(
        self, name: str, source: str, base: pulumi.Input[str], args: Mapping[str, pulumi.Input[str]] | None = None
    ) -> pulumi.Output[str]:
        """What a container's ``image`` is to be: the id of a local build, or of a pulled reference.

        ``source`` is ``local`` (build ``images/<name>`` from the repository root, with build arguments BASE and
        ``args``) or a reference by digest.
        """
        if source != "local":
            remote = docker.RemoteImage(name, name=source, keep_locally=True, opts=self.child())
            return remote.image_id
        labels = self.labels(docker.Image, name)
        build = docker.DockerBuildArgs(
            context=".",
            dockerfile=f"images/{name}/Dockerfile",
            builder_version=docker.BuilderVersion.BUILDER_BUILD_KIT,
            # Images have labels only through their Dockerfile: each ends with these two as LABELs.
            args={
                "BASE": base,
                **(args or {}),
                "BERTH_STACK": labels["berth.stack"],
                "BERTH_URN": labels["berth.urn"],
            },
        )
        built = docker.Image(
            name,
            image_name=f"{pulumi.get_project()}/{name}:{pulumi.get_stack()}",
            build=build,
            skip_push=True,
            opts=self.child(),
        )
        # For an image that is not pushed this is its local id: new content, new id, new container.
        return built.repo_digest


def finished(job: docker.Container, value: pulumi.Input[T]) -> pulumi.Output[T]:
    """``value``, once the job has ended well; what is made from it waits for the job.

    Errors: ``pulumi.RunError`` with the end of the job's log when its exit code is not 0.
    """

    def check(parts: list[Any]) -> T:
        name, code, logs, result = parts
        if code:
            raise pulumi.RunError(f"{name} failed with exit code {code}; its log ends with:\n{(logs or '')[-2000:]}")
        return cast(T, result)

    return pulumi.Output.all(job.name, job.exit_code, job.container_logs, value).apply(check)
