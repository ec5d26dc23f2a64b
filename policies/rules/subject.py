"""What a rule looks at, and how a rule becomes a policy."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    ReportViolation,
    ResourceValidationArgs,
    ResourceValidationPolicy,
)
from pulumi_policy.proxy import UnknownValueError

container: Final = "docker:index/container:Container"
volume: Final = "docker:index/volume:Volume"
network: Final = "docker:index/network:Network"
image: Final = "docker:index/image:Image"
remote_image: Final = "docker:index/remoteImage:RemoteImage"


@dataclass(frozen=True)
class Subject:
    """A resource about to be made; ``config`` are the policy's settings."""

    type: str
    name: str
    urn: str
    props: Mapping[str, Any]
    config: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stack(self) -> str:
        return self.urn.split("::")[0].rpartition(":")[2]

    def within(self, component: str) -> bool:
        """Whether it belongs to a component of that type token, directly or further down."""
        return component in self.urn.split("::")[2].split("$")[:-1]

    def get(self, key: str, default: Any = None) -> Any:
        """A property; what is unknown in a preview counts as missing, and is looked at again by `up`."""
        return get(self.props, key, default)

    def items(self, key: str) -> Iterator[Any]:
        """The known items of a list property."""
        yield from items(self.get(key))

    def setting(self, key: str) -> list[str]:
        return [str(each) for each in self.config.get(key) or []]


Rule = Callable[[Subject], Iterable[str]]


def get(values: Mapping[str, Any], key: str, default: Any = None) -> Any:
    try:
        value = values.get(key)
    except UnknownValueError:
        return default
    return default if value is None else value


def items(values: Any) -> Iterator[Any]:
    for index in range(len(values or ())):
        try:
            yield values[index]
        except UnknownValueError:
            continue


def names(*default: str) -> dict[str, Any]:
    """The schema of a setting that is a list of texts."""
    return {"type": "array", "items": {"type": "string"}, "default": list(default)}


def policy(
    name: str,
    description: str,
    rule: Rule,
    *,
    advisory: bool = False,
    settings: dict[str, dict[str, Any]] | None = None,
) -> ResourceValidationPolicy:
    """``settings``: JSON schemas with defaults; ``--policy-pack-config`` changes them."""

    def validate(args: ResourceValidationArgs, report: ReportViolation) -> None:
        for message in rule(Subject(args.resource_type, args.name, args.urn, args.props, args.get_config())):
            report(message, None)

    return ResourceValidationPolicy(
        name,
        description,
        validate,
        EnforcementLevel.ADVISORY if advisory else EnforcementLevel.MANDATORY,
        PolicyConfigSchema(settings) if settings else None,
    )
