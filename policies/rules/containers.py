"""Docker objects are found again by their labels; containers may no more than they must."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from .subject import Subject, container, get, image, items, names, network, policy, remote_image, volume

_socket: Final = "/var/run/docker.sock"
_digest: Final = re.compile(r"(^|@)sha256:[0-9a-f]{64}$")


def labels(subject: Subject) -> Iterator[str]:
    """`make clean` and a repair after a crash find what is ours by ``berth.stack`` and ``berth.urn``."""
    if subject.type == image:
        given = get(subject.get("build", {}), "args", {})
        found = {key: get(given, argument) for key, argument in (("stack", "BERTH_STACK"), ("urn", "BERTH_URN"))}
    elif subject.type in (container, volume, network):
        pairs = {get(each, "label"): get(each, "value") for each in subject.items("labels")}
        found = {key: pairs.get(f"berth.{key}") for key in ("stack", "urn")}
    else:
        return
    if not found["stack"]:
        yield f"{subject.name} has no label berth.stack"
    if found["urn"] != subject.urn:
        yield f"{subject.name}: the label berth.urn is {found['urn'] or 'missing'} and should be {subject.urn}"


def privileged(subject: Subject) -> Iterator[str]:
    if subject.type == container and subject.get("privileged") is True:
        yield f"{subject.name} is privileged: that is root on the host; add the one capability that it needs"


def docker_socket(subject: Subject) -> Iterator[str]:
    """Who may speak to Docker is root on its host."""
    if subject.type != container or subject.name in subject.setting("allowed"):
        return
    sources = [get(each, "hostPath") for each in subject.items("volumes")]
    sources += [get(each, "source") for each in subject.items("mounts") if get(each, "type") == "bind"]
    for source in sources:
        path = f"/{(source or 'none').strip('/')}".replace("/run/", "/var/run/", 1).replace("/var/var/", "/var/")
        if path == _socket or path in ("/", "/var", "/var/run", "/run"):
            yield f"{subject.name} mounts {source}, and Docker's socket with it; use a filtering proxy"


def capabilities(subject: Subject) -> Iterator[str]:
    if subject.type != container:
        return
    given = subject.get("capabilities", {})
    if "ALL" not in [each.upper() for each in items(get(given, "drops"))]:
        yield f"{subject.name} keeps Docker's default capabilities: drop ALL and add what it needs"
    allowed = {_capability(each) for each in subject.setting("allowed")}
    for each in items(get(given, "adds")):
        if _capability(each) not in allowed:
            yield f"{subject.name} adds {each}, which is not among {', '.join(sorted(allowed)) or 'the allowed ones'}"


def _capability(name: str) -> str:
    return name.upper().removeprefix("CAP_")


def root(subject: Subject) -> Iterator[str]:
    """A service that is broken into is then nobody; what has to be root is named in the settings."""
    if subject.type != container or any(subject.within(component) for component in subject.setting("allowed")):
        return
    user = str(subject.get("user", "")).partition(":")[0]
    if user in ("", "0", "root"):
        yield f"{subject.name} runs as root: give it a user of its own"
    if any(_capability(each) == "NET_ADMIN" for each in items(get(subject.get("capabilities", {}), "adds"))):
        yield f"{subject.name} may change the network (NET_ADMIN), which only nodes and the leases' rules need"


def memory(subject: Subject) -> Iterator[str]:
    if subject.type == container and subject.get("memory", 0) <= 0:
        yield f"{subject.name} may take all of the host's memory: give it a limit"


def restart(subject: Subject) -> Iterator[str]:
    """A service comes back after a crash or a reboot; a job (``mustRun: false``) runs once."""
    if subject.type == container and subject.get("mustRun", True) and subject.get("restart", "no") == "no":
        yield f"{subject.name} stays down after a crash or a reboot: set restart"


def pinned(subject: Subject) -> Iterator[str]:
    """A tag means another image tomorrow."""
    if subject.stack in subject.setting("exempt"):
        return
    if subject.type == remote_image:
        reference = subject.get("name")
    elif subject.type == container:
        reference = subject.get("image")
    elif subject.type == image:
        reference = get(get(subject.get("build", {}), "args", {}), "BASE")
    else:
        return
    if reference is not None and not _digest.search(reference):
        yield f"{subject.name} uses {reference}, which is no digest: write it as name@sha256:..."


policies: Final = [
    policy("labels", "Docker objects carry berth.stack and berth.urn.", labels),
    policy("unprivileged", "No container is privileged.", privileged),
    policy(
        "docker-socket",
        "Containers do not reach Docker's socket.",
        docker_socket,
        settings={"allowed": names("leases-guard", "reaper-guard")},
    ),
    policy(
        "capabilities",
        "Containers drop all capabilities but those that they need.",
        capabilities,
        settings={"allowed": names("CAP_NET_ADMIN")},
    ),
    policy(
        "no-root",
        "Only WireGuard nodes, Docker's guards and the leases' packet filter are root or change the network.",
        root,
        settings={
            "allowed": names("berth:access:WireGuardNode", "berth:lease:DockerGuard", "berth:lease:LeaseNetwork")
        },
    ),
    policy("memory-limit", "Containers have a memory limit.", memory),
    policy("restart-policy", "Services are restarted.", restart, advisory=True),
    policy("pinned-images", "Images are pinned by digest.", pinned, settings={"exempt": names("dev")}),
]
