"""What can be leased: scenarios, their containers and limits.  The shape of LEASES_FILE (JSON, camelCase).

A scenario is a template: one container, ``main``, or several that live and die as one on a network of their own.
"""

from __future__ import annotations

import json
import re
from functools import cached_property
from ipaddress import IPv4Network
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic.alias_generators import to_camel

Exposure = Literal["public", "vpn"]
main: Final = "main"
told_folder: Final = "/run/berth-lease"
"""Where a container finds ``lease.json``; a volume of its own, since its root may be read-only."""

_variable: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_user: Final = re.compile(r"[1-9][0-9]{0,8}(:[1-9][0-9]{0,8})?")
_folder: Final = re.compile(r"(/[A-Za-z0-9_-][A-Za-z0-9._-]{0,40}){1,6}")


def _path(text: str) -> str:
    if not _folder.fullmatch(text) or text in ("/proc", "/sys"):
        raise ValueError("is not an absolute path inside a container, of letters, digits, dots, dashes and underscores")
    return text


def _not_root(text: str) -> str:
    if not _user.fullmatch(text):
        raise ValueError('is not "uid" or "uid:gid" in digits, both above 0: leases never run as root')
    return text


Label = Annotated[str, Field(pattern=r"^[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?$")]
Folder = Annotated[str, AfterValidator(_path)]
Mebibytes = Annotated[int, Field(ge=1, le=1_048_576)]


class Shape(BaseModel):
    """Frozen, camelCase outside; an unknown key is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True)


class Limits(Shape):
    """What one container may use; ``disk_mib`` only where Docker's storage driver can hold it."""

    memory_mib: Annotated[int, Field(ge=8, le=1_048_576)] = 256
    cpus: Annotated[float, Field(ge=0.01, le=256)] = 0.5
    pids: Annotated[int, Field(ge=2, le=100_000)] = 128
    files: Annotated[int, Field(ge=16, le=1_048_576)] = 1024
    log_mib: Mebibytes = 8
    disk_mib: Annotated[int, Field(ge=0, le=1_048_576)] = 0
    shm_mib: Mebibytes = 16


class HealthCheck(Shape):
    """A command in the container that exits with 0 when it is well; seconds."""

    command: Annotated[tuple[str, ...], Field(min_length=1)]
    interval: Annotated[float, Field(ge=1, le=3600)] = 10
    timeout: Annotated[float, Field(ge=1, le=600)] = 3
    retries: Annotated[int, Field(ge=1, le=100)] = 3
    start: Annotated[float, Field(ge=0, le=3600)] = 5


class Template(Shape):
    """One container of a scenario.

    ``environment`` values may hold ``{lease}``, ``{name}``, ``{user}``, ``{host}`` and ``{tokens}``, which are filled
    in when it is made.
    """

    image: Annotated[str, Field(min_length=1, max_length=300)]
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    user: Annotated[str, AfterValidator(_not_root)] = "1001:1001"
    read_only: bool = True
    tmpfs: Annotated[dict[Folder, Mebibytes], Field(max_length=8)] = {"/tmp": 16}
    limits: Limits = Limits()
    health: HealthCheck | None = None
    restarts: Annotated[int, Field(ge=0, le=20)] = 3

    @model_validator(mode="after")
    def _whole(self) -> Template:
        for name in self.environment:
            if not _variable.fullmatch(name):
                raise ValueError(f"environment: {name!r} is not a variable's name")
        return self


class Scenario(Shape):
    """A template for leases.  ``pool``: how many wait, made, for somebody to take them.

    ``told`` containers get ``lease.json`` in :data:`told_folder` before they run: their lease's id, name, host, user,
    deadline, tokens and options.  A scenario with a pool whose environment needs to know the lease has to read it
    there, since the environment of a waiting container cannot change.
    """

    title: str = ""
    description: str = ""
    containers: Annotated[dict[Label, Template], Field(min_length=1, max_length=10)]
    pool: Annotated[int, Field(ge=0, le=1000)] = 0
    told: bool = False
    exposure: Exposure = "public"
    max_minutes: Annotated[int, Field(ge=1)] | None = None
    egress: bool = False

    @model_validator(mode="after")
    def _whole(self) -> Scenario:
        if main not in self.containers:
            raise ValueError(f"containers has no {main!r}: the one that the gateway speaks to")
        if self.pool and self.egress:
            raise ValueError("pool: a scenario with egress cannot wait, since each lease has a network of its own")
        if self.pool:
            if len(self.containers) > 1:
                raise ValueError("pool: only a scenario of one container can wait in a pool")
            late = [n for n, v in self.containers[main].environment.items() if _fields(v)]
            if late:
                raise ValueError(
                    f"pool: environment {', '.join(sorted(late))} names the lease, which a waiting container does not "
                    f"know yet: set told, and have the image read {told_folder}/lease.json"
                )
        return self

    @property
    def joined(self) -> bool:
        """Whether it has a network of its own: several containers do, and whoever may go out."""
        return len(self.containers) > 1 or self.egress


class Subnets(Shape):
    """Where leases' own networks come from: of several containers, or with a way out."""

    pool: IPv4Network = IPv4Network("10.99.0.0/18")
    prefix: Annotated[int, Field(ge=16, le=29)] = 28

    @model_validator(mode="after")
    def _whole(self) -> Subnets:
        if self.prefix < self.pool.prefixlen:
            raise ValueError(f"prefix {self.prefix} is larger than the pool {self.pool}")
        return self

    @property
    def count(self) -> int:
        """How many networks there can be at once."""
        return 1 << (self.prefix - self.pool.prefixlen)

    def at(self, index: int) -> IPv4Network:
        """The subnet with a number from 0."""
        if not 0 <= index < self.count:
            raise IndexError(f"subnet {index} of {self.count}")
        size = 1 << (32 - self.prefix)
        return IPv4Network((int(self.pool.network_address) + index * size, self.prefix))


class Catalogue(Shape):
    """LEASES_FILE."""

    scenarios: Annotated[dict[Label, Scenario], Field(min_length=1)]
    subnets: Subnets = Subnets()
    default_scenario: Label | None = None

    @model_validator(mode="after")
    def _whole(self) -> Catalogue:
        if self.default_scenario is not None and self.default_scenario not in self.scenarios:
            raise ValueError(f"defaultScenario {self.default_scenario!r} is not one of {', '.join(self.scenarios)}")
        return self

    @cached_property
    def default(self) -> str:
        """The scenario of those who name none: ``basic`` where there is one, else the first."""
        return self.default_scenario or ("basic" if "basic" in self.scenarios else next(iter(self.scenarios)))

    @property
    def images(self) -> frozenset[str]:
        """Every image that a lease may run."""
        return frozenset(t.image for s in self.scenarios.values() for t in s.containers.values())


def parse(text: str) -> Catalogue:
    """The content of LEASES_FILE; ValueError lists every problem with its place."""
    try:
        content: Any = json.loads(text)
        return Catalogue.model_validate(content)
    except ValidationError as invalid:
        told = [f"{'.'.join(str(p) for p in e['loc'])}: {e['msg']}" for e in invalid.errors(include_url=False)]
        raise ValueError("; ".join(told)) from None


def fill(text: str, values: dict[str, str]) -> str:
    """``text`` with the fields of an environment value filled in; other braces stay."""
    return _field.sub(lambda found: values[found.group(1)], text)


_field: Final = re.compile(r"\{(lease|name|user|host|tokens)\}")


def _fields(text: str) -> bool:
    return bool(_field.search(text))
