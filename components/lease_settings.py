"""``berth:leases`` and ``berth:redis``: what can be leased, by whom, and how many at once."""

from __future__ import annotations

from ipaddress import IPv4Network
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from berth.leases.scenario import Catalogue, HealthCheck, Limits, Scenario, Subnets, Template
from providers.fields import Allowed, Port, Section, Subnet

_shell: Final = Template(
    image="lease-shell",
    limits=Limits(memory_mib=64, cpus=0.5, pids=64),
    health=HealthCheck(command=("/bin/wget", "-q", "-O", "/dev/null", "http://127.0.0.1:8080/")),
)
_echo: Final = Template(
    image="lease-echo",
    limits=Limits(memory_mib=64, cpus=0.5, pids=64),
    environment={"LEASE": "{name}"},
    health=HealthCheck(command=("/echo", "-health")),
)
_domain: Final = r"^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$"
_default_scenarios: Final = {
    "basic": Scenario(
        title="Echo",
        description="Shows what of a request reaches it, over HTTP and WebSocket.",
        containers={"main": _echo},
    ),
    "alpine": Scenario(title="Shell", description="A small shell with a page.", containers={"main": _shell}, pool=1),
    "advanced": Scenario(
        title="Echo and shell",
        description="Two containers with a network of their own: main, and another that is called store there.",
        containers={"main": _echo, "store": _shell},
    ),
}

own_images: Final = ("lease-shell", "lease-echo")
"""What scenarios may name besides a reference by digest: images that the stack itself makes."""


class RedisSettings(Section):
    """``berth:redis``: events and logs of leases; what is in it may be lost."""

    memory: Annotated[int, Field(ge=64, le=1_048_576), Allowed("MiB, a whole number from 64")] = 128
    """What the server may use; half of it for data."""
    host_port: Port | None = None
    """Where it is published on 127.0.0.1; nowhere when absent."""


class LeaseSettings(Section):
    """``berth:leases``: containers that people lease for a time, each at a name of its own."""

    enabled: Annotated[bool, Allowed("true or false")] = True
    """Whether there is a lease plane at all."""
    access: Annotated[Literal["open", "token", "pass"], Allowed("open, token or pass")] = "pass"
    """Who may lease: anybody (`open`), who has registered (`token`), or who holds a pass (`pass`)."""
    domain: Annotated[
        str,
        Field(pattern=_domain, max_length=200),
        Allowed("a domain such as test.localhost, of which every name leads to the gateway"),
    ] = "test.localhost"
    """Leases are `<name>.<domain>`; not a domain of the web page, or they would share its cookies."""
    vpn_domain: Annotated[
        str,
        Field(pattern=_domain, max_length=200),
        Allowed("a domain such as vpn.example.org, of which every name leads to the nodes' tunnel address"),
    ] = "vpn.internal"
    """Leases that only the tunnel reaches are `<name>.<vpnDomain>`: a wildcard record of the nodes' tunnel address."""
    subnet: Subnet = IPv4Network("172.30.12.0/22")
    """Of the bridge between gateway and leases."""
    subnets: Subnet = IPv4Network("10.99.0.0/18")
    """Where leases of several containers, and those with egress, get a network of their own, a /28 each."""
    max_containers: Annotated[int, Field(ge=1, le=1000), Allowed("a whole number from 1 to 1000")] = 100
    """Leases at once."""
    max_per_user: Annotated[int, Field(ge=1, le=1000), Allowed("a whole number from 1 to 1000")] = 10
    lifetime_hours: Annotated[int, Field(ge=1, le=8760), Allowed("hours, a whole number from 1 to 8760")] = 24
    """The life of a lease that names none, and the most that extensions reach."""
    min_minutes: Annotated[int, Field(ge=1, le=525_600), Allowed("minutes, a whole number from 1")] = 1
    max_minutes: Annotated[int, Field(ge=1, le=525_600), Allowed("minutes, a whole number from 1")] = 1440
    cleanup_minutes: Annotated[int, Field(ge=1, le=1440), Allowed("minutes, a whole number from 1 to 1440")] = 1
    """How often the cleanup worker sweeps up what timers and events missed; removal itself comes within seconds."""
    warn_seconds: Annotated[
        tuple[Annotated[int, Field(ge=1, le=86_400)], ...], Allowed("a list of seconds, each from 1 to 86400")
    ] = (300, 60)
    """When before its end a lease is told of it."""
    keep_minutes: Annotated[int, Field(ge=1, le=525_600), Allowed("minutes, a whole number from 1")] = 60
    """How long ended leases and their logs can be looked at; what could not be made, for a day at least."""
    requests_per_minute: Annotated[int, Field(ge=60, le=1_000_000), Allowed("a whole number from 60 to 1000000")] = 6000
    """How many requests one address may send to leases in a minute."""
    scenarios: Annotated[dict[str, Scenario], Allowed("scenarios by name, see docs/leases.md")] = _default_scenarios
    """What can be leased."""
    default_scenario: Annotated[str, Allowed("the name of a scenario")] | None = None
    """Of those who name none; `basic` where absent."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.subnet.prefixlen > 24:
            raise ValueError(f"subnet is {self.subnet}: it must be /24 or larger to hold the leases")
        if self.max_containers > self.subnet.num_addresses // 2 - 8:
            raise ValueError(
                f"maxContainers is {self.max_containers}, and subnet {self.subnet} has room for "
                f"{self.subnet.num_addresses // 2 - 8}: make it larger"
            )
        if self.subnets.prefixlen > 28:
            raise ValueError(f"subnets is {self.subnets}: it must be /28 or larger")
        if self.min_minutes > self.max_minutes:
            raise ValueError(f"minMinutes is {self.min_minutes}, and maxMinutes {self.max_minutes}: it must be less")
        if self.max_per_user > self.max_containers:
            raise ValueError(
                f"maxPerUser is {self.max_per_user}, and maxContainers {self.max_containers}: it must not be more"
            )
        self.catalogue({name: name for name in self.images})
        return self

    @property
    def images(self) -> tuple[str, ...]:
        """Every image that a scenario names, once: a name of :data:`own_images`, or a reference."""
        named = (each.image for scenario in self.scenarios.values() for each in scenario.containers.values())
        return tuple(dict.fromkeys(named))

    def catalogue(self, ids: dict[str, str]) -> Catalogue:
        """What the manager is told, with the image's id for each name.  Errors: ``ValueError``."""
        made = {
            name: scenario.model_copy(
                update={
                    "containers": {
                        role: each.model_copy(update={"image": ids[each.image]})
                        for role, each in scenario.containers.items()
                    }
                }
            )
            for name, scenario in self.scenarios.items()
        }
        return Catalogue.model_validate(
            {"scenarios": made, "subnets": Subnets(pool=self.subnets), "defaultScenario": self.default_scenario}
        )
