"""Every kind of resource that our components use, in the ways in which they use them."""

import pulumi
import pulumi_docker as docker
from given import Given

memory = pulumi.Config().require_int("memory")
base = "debian:bookworm-slim"
stack = f"{pulumi.get_project()}/{pulumi.get_stack()}"


def named(name: str) -> str:
    return f"{pulumi.get_project()}-{pulumi.get_stack()}-{name}"


class Platform(pulumi.ComponentResource):
    def __init__(self, name: str) -> None:
        super().__init__("golden:platform:Platform", name)
        first = pulumi.ResourceOptions(parent=self, delete_before_replace=True)
        own = pulumi.ResourceOptions(parent=self)

        inside = docker.Network(
            "inside",
            name=named("inside"),
            driver="bridge",
            ipam_configs=[
                docker.NetworkIpamConfigArgs(
                    subnet="172.29.203.0/24", gateway="172.29.203.1", ip_range="172.29.203.128/25"
                )
            ],
            labels=[docker.NetworkLabelArgs(label="berth.stack", value=stack)],
            opts=first,
        )
        edge = docker.Network("edge", name=named("edge"), internal=True, opts=first)
        secret = Given("secret", "token", own)
        remote = docker.RemoteImage("remote", name=base, keep_locally=True, opts=own)
        build = docker.DockerBuildArgs(
            context=".",
            dockerfile="images/tool/Dockerfile",
            builder_version=docker.BuilderVersion.BUILDER_BUILD_KIT,
            platform="linux/amd64",
            args={"BASE": base, "STACK": stack},
        )
        tool = docker.Image("tool", image_name=f"{named('tool')}:latest", build=build, skip_push=True, opts=own)
        data = docker.Volume(
            "data",
            name=named("data"),
            labels=[docker.VolumeLabelArgs(label="berth.stack", value=stack)],
            opts=pulumi.ResourceOptions(parent=self, retain_on_delete=True),
        )
        hardened = {
            "labels": [docker.ContainerLabelArgs(label="berth.stack", value=stack)],
            "user": "1001:1001",
            "log_driver": "json-file",
            "log_opts": {"max-size": "10m", "max-file": "3"},
            "tmpfs": {"/tmp": "rw,noexec,nosuid,nodev,size=16m"},
            "security_opts": ["no-new-privileges:true"],
            "memory": memory,
            "memory_swap": 2 * memory,
            "cpus": "0.5",
            "destroy_grace_seconds": 1,
        }
        member = docker.Container(
            "member",
            name=named("member"),
            image=tool.repo_digest,
            hostname="member",
            entrypoints=["/bin/sh", "-ec"],
            command=["exec sleep 100000"],
            networks_advanced=[docker.ContainerNetworksAdvancedArgs(name=inside.name, aliases=["member", "database"])],
            volumes=[docker.ContainerVolumeArgs(container_path="/data/db", volume_name=data.name)],
            uploads=[docker.ContainerUploadArgs(file="/run/key", content=secret.value, permissions="0444")],
            ports=[docker.ContainerPortArgs(internal=27017, external=27231, ip="127.0.0.1")],
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["CMD", "true"], interval="10s", timeout="10s", retries=5, start_period="30s"
            ),
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            read_only=False,
            restart="unless-stopped",
            must_run=True,
            opts=first,
            **hardened,
        )
        job = docker.Container(
            "job",
            name=named("job"),
            image=remote.image_id,
            network_mode=pulumi.Output.concat("container:", member.id),
            command=["sh", "-c", "cat /run/plain; echo; echo done"],
            envs=["MEMBERS=member:27017", "KEY_FILE=/run/key"],
            uploads=[
                docker.ContainerUploadArgs(file="/run/plain", content="plain", permissions="0444"),
                docker.ContainerUploadArgs(file="/run/key", content=secret.value, permissions="0444"),
            ],
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"]),
            read_only=False,
            restart="no",
            attach=True,
            logs=True,
            must_run=False,
            opts=pulumi.ResourceOptions.merge(first, pulumi.ResourceOptions(depends_on=[member])),
            **hardened,
        )
        docker.Container(
            "node",
            name=named("node"),
            image=tool.repo_digest,
            hostname="node",
            command=["sleep", "100000"],
            envs=[pulumi.Output.concat("JOB=", job.exit_code.apply(str)), "NODE_ID=node"],
            networks_advanced=[
                docker.ContainerNetworksAdvancedArgs(name=inside.name, aliases=["node"], ipv4_address="172.29.203.10"),
                docker.ContainerNetworksAdvancedArgs(name=edge.name, aliases=["node"]),
            ],
            capabilities=docker.ContainerCapabilitiesArgs(drops=["ALL"], adds=["CAP_NET_ADMIN"]),
            devices=[docker.ContainerDeviceArgs(host_path="/dev/null", container_path="/dev/tun", permissions="rwm")],
            sysctls={"net.ipv4.ip_forward": "1"},
            ports=[
                docker.ContainerPortArgs(internal=8080, external=27232, ip="127.0.0.1"),
                docker.ContainerPortArgs(internal=51820, external=27233, ip="127.0.0.1", protocol="udp"),
            ],
            healthcheck=docker.ContainerHealthcheckArgs(tests=["CMD", "true"], interval="1s", timeout="5s", retries=5),
            stop_signal="SIGUSR1",
            init=True,
            read_only=True,
            restart="unless-stopped",
            wait=True,
            wait_timeout=60,
            must_run=True,
            opts=first,
            **hardened,
        )
        docker.Container("bare", name=named("bare"), image=base, command=["sleep", "100000"], opts=own)
        self.register_outputs({"node": "node"})
        pulumi.export("secret", secret.value)
        pulumi.export("exitCode", job.exit_code)


Platform("platform")
