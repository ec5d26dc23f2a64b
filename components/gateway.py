"""The gateway: HAProxy before everything that people see, and the one that knows each part's health."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final
from urllib.parse import urlsplit

import pulumi
import pulumi_docker as docker

from components.base import Component, Limits, files_directory, service_user
from components.haproxy import Front, render
from components.images import Images, official_gateway_user
from components.lease_front import LeaseFront
from components.network import Network
from components.parts import Part
from components.settings import GatewaySettings, LeaseSettings, derived
from components.user_pool import UserPool, runtime_folder
from components.wireguard import WireGuardNode

members_port: Final = 8081

_live: Final = (
    "exec 3<>/dev/tcp/127.0.0.1/8099; printf 'GET /live HTTP/1.0\\r\\n\\r\\n' >&3; "
    'read -r line <&3; [[ $line == *" 200 "* ]]'
)


class Gateway(Component):
    """``berth:platform:Gateway``: the web page, the access API, the status page, and the members' page inside."""

    url: str
    members_url: str
    """Reached through the tunnel only."""

    def __init__(
        self,
        name: str,
        settings: GatewaySettings,
        parts: Sequence[Part],
        nodes: Collection[WireGuardNode],
        network: Network,
        images: Images,
        pool: UserPool | None = None,
        opts: pulumi.ResourceOptions | None = None,
    ) -> None:
        super().__init__("berth:platform:Gateway", name, opts)
        front = Front(
            url=settings.url,
            tls=settings.tls is not None,
            api_per_minute=settings.api_per_minute,
            connections=settings.connections_per_address,
            probe_urls=tuple(node.probe_url for node in nodes),
            proxy=network.router_address if settings.behind_proxy else "",
            leases=_front(pool.settings, settings) if pool else None,
        )
        files: dict[str, pulumi.Input[str]] = {**render(parts, pulumi.get_stack(), front)}
        files["haproxy.cfg"] = derived("chain", files["haproxy.cfg"])  # it names the chain's URL
        ports = {8000: settings.http_port, 8080: settings.alt_port}
        if settings.tls is not None:
            files["tls.pem"] = pulumi.Output.secret(settings.tls.pem)
            ports[8443] = settings.https_port
        networks, command = [network.attach_inside(address=network.gateway_address)], ["haproxy", "-W", "-db"]
        volumes: dict[str, docker.Volume] = {}
        if pool:
            networks.append(pool.bridge.attach(pool.bridge.gateway_address))
            volumes[runtime_folder] = pool.runtime
            # HAProxy makes an entry of it in its own environment, which nobody else sees.
            files["session-key"] = pulumi.Output.concat("global\n    setenv LEASE_SESSION_KEY ", pool.session_key, "\n")
            command += ["-f", f"{files_directory}/session-key"]
        self.container(
            "gateway",
            image=images.make("gateway"),
            user=service_user if images.is_local("gateway") else official_gateway_user,
            limits=Limits(memory=256),
            networks=networks,
            command=[*command, "-f", f"{files_directory}/haproxy.cfg"],
            files=files,
            volumes=volumes,
            ports=[
                docker.ContainerPortArgs(internal=inside, external=outside, ip=settings.bind)
                for inside, outside in ports.items()
            ],
            healthcheck=docker.ContainerHealthcheckArgs(
                tests=["CMD", "bash", "-ec", _live], interval="5s", timeout="3s", retries=3
            ),
            # HAProxy lets running requests end after this one, and cuts them off after SIGTERM.
            stop_signal="SIGUSR1",
        )
        self.url = settings.url
        self.members_url = f"http://{network.gateway_address}:{members_port}/"
        self.register_outputs({"url": self.url, "membersUrl": self.members_url})


def _front(leases: LeaseSettings, gateway: GatewaySettings) -> LeaseFront:
    return LeaseFront(
        stack=pulumi.get_stack(),
        domain=leases.domain,
        subnet=leases.subnet,
        open=leases.access == "open",
        per_minute=leases.requests_per_minute,
        at_once=gateway.connections_per_address,
        scheme=urlsplit(gateway.url).scheme,
    )
