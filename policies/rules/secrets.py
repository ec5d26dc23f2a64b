"""Secrets reach containers as files, and are secrets to Pulumi too."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from pulumi_policy import EnforcementLevel, ResourceValidationArgs, ResourceValidationPolicy, Secret

from .subject import Subject, container, names, policy

_variable: Final = re.compile(r"(^|_)(KEY|TOKEN|PASSWORD|SECRET)$", re.IGNORECASE)
_file: Final = re.compile(r"(^|[-_.])(key|keyfile|token|password|secret|pem)s?$", re.IGNORECASE)


def plain_secrets(subject: Subject) -> Iterator[str]:
    """`docker inspect` shows a container's environment to everybody who may ask Docker."""
    if subject.type != container or subject.stack in subject.setting("exempt"):
        return
    for variable in subject.items("envs"):
        name, _, value = variable.partition("=")
        if value and _variable.search(name):
            yield f"{subject.name}: {name} is plain; give the container a file, and its path as {name}_FILE"


def names_secret(path: str) -> bool:
    """Whether a file is a secret by its name: ``mongo.key``, ``root-password``."""
    return bool(_file.search(path.rpartition("/")[2]))


def secret_uploads(uploads: Any) -> list[Any] | None:
    """Uploads with the contents of secret files marked; None when there is nothing left to mark.

    ``uploads`` as a remedy gets them below their proxies: :class:`Secret` marks, inside or around the whole.
    """
    if not isinstance(uploads, list):
        return None
    marked = [
        {**each, "content": Secret(each["content"])}
        if isinstance(each, dict)
        and names_secret(str(each.get("file")))
        and each.get("content") is not None
        and not isinstance(each["content"], Secret)
        else each
        for each in uploads
    ]
    return None if all(new is old for new, old in zip(marked, uploads, strict=True)) else marked


def _remediate(args: ResourceValidationArgs) -> Any:
    if args.resource_type != container:
        return None
    # The proxy around the properties hides which of them are secrets; what it stands for does not.
    properties: dict[str, Any] = args.props["__target"]
    marked = secret_uploads(properties.get("uploads"))
    return None if marked is None else {**properties, "uploads": marked}


policies: Final = [
    policy(
        "no-plain-secrets",
        "Secrets are files, not environment variables.",
        plain_secrets,
        settings={"exempt": names("dev")},
    ),
    # A policy that only objects sees no marks, so this one sets them.
    ResourceValidationPolicy(
        "secret-uploads",
        "The content of an uploaded key, token or password is a secret.",
        enforcement_level=EnforcementLevel.REMEDIATE,
        remediate=_remediate,
    ),
]
