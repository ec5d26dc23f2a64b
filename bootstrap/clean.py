"""Removal of what a stack left in Docker, by label and image name alone."""

from __future__ import annotations

from bootstrap.base import IMAGE, MADE_LABEL
from bootstrap.errors import SetupError
from bootstrap.stack import check_name
from bootstrap.step import Context

STACK_LABEL = "berth.stack"
TEST_LABEL = "berth.test"


def clean(context: Context, project: str) -> list[str]:
    """Remove the stack's containers, networks, volumes, images and state; returns what was removed."""
    check_name(context)
    removed = _labelled(context, f"{STACK_LABEL}={project}/{context.stack}")
    # By label as well as by name: earlier builds lost their name to a newer one.
    removed += _images(context, f"reference={project}/*:{context.stack}")
    removed += _images(context, f"label={STACK_LABEL}={project}/{context.stack}")
    # Another stack may build on it, or somebody who has nothing to do with berth use it; and a mistyped name costs
    # nothing.
    if removed and not _in_use(context, IMAGE) and not _others(context, project):
        # The base image has this label only if it was made here.
        removed += _images(context, f"reference={IMAGE}", f"label={MADE_LABEL}=made")
    return removed + _state(context, project)


def leftovers(context: Context) -> list[str]:
    """Remove what any earlier run of any stack or test left; images stay, they save time."""
    return _labelled(context, STACK_LABEL) + _labelled(context, TEST_LABEL)


def _state(context: Context, project: str) -> list[str]:
    """Remove the stack's state from the project's own backend: what it describes is gone. History stays."""
    removed: list[str] = []
    for file in (context.root / ".pulumi" / "stacks" / project).glob(f"{context.stack}.*"):
        file.unlink()
        removed.append(f"state {file.relative_to(context.root)}")
    return removed


def _labelled(context: Context, label: str) -> list[str]:
    removed: list[str] = []
    # In this order: a network or volume in use cannot be removed.
    removed += _remove(
        context, ("container", "ls", "-a"), ("container", "rm", "--force", "--volumes"), f"label={label}"
    )
    removed += _remove(context, ("network", "ls"), ("network", "rm"), f"label={label}")
    removed += _remove(context, ("volume", "ls"), ("volume", "rm", "--force"), f"label={label}")
    return removed


def _in_use(context: Context, image: str) -> bool:
    listed = context.shell.run("docker", "container", "ls", "-a", "-q", "--filter", f"ancestor={image}", limit=60)
    return bool(listed.output.strip())


def _others(context: Context, project: str) -> bool:
    """Whether there are images of other stacks."""
    listed = context.shell.run("docker", "image", "ls", "-q", "--filter", f"reference={project}/*", limit=60)
    return bool(listed.output.strip())


def _images(context: Context, *filters: str) -> list[str]:
    return _remove(context, ("image", "ls"), ("image", "rm"), *filters)


def _remove(context: Context, listing: tuple[str, ...], removal: tuple[str, ...], *filters: str) -> list[str]:
    kind = listing[0]
    options = [option for one in filters for option in ("--filter", one)]
    listed = context.shell.must(
        f"Docker could not list {kind}s", "make sure that Docker runs (make setup), then try again",
        "docker", *listing, "-q", *options,
        limit=60,
    )  # fmt: skip
    names = list(dict.fromkeys(listed.output.split()))
    if kind == "image":
        names = _image_names(context, names, filters)
    if not names:
        return []
    done = context.shell.run("docker", *removal, *names, limit=300)
    if not done.ok and "No such" not in done.output:
        raise SetupError(f"Docker could not remove each {kind}", "see below what still uses it", done.excerpt)
    return [f"{kind} {name}" for name in names]


def _image_names(context: Context, ids: list[str], filters: tuple[str, ...]) -> list[str]:
    """By name where the filter is one, so that an image that has other names keeps those."""
    reference = next((one.removeprefix("reference=") for one in filters if one.startswith("reference=")), None)
    if reference is None or not ids:
        return ids
    options = [option for one in filters for option in ("--filter", one)]
    listed = context.shell.run("docker", "image", "ls", "--format", "{{.Repository}}:{{.Tag}}", *options, limit=60)
    return [name for name in listed.output.split() if "<none>" not in name]
