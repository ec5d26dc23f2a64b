"""``docker:index/image:Image``: built here, never pushed.

A native resource of pulumi-docker, not a bridged one: any change is an update (a rebuild), and the checked
inputs are kept among the outputs as ``__inputs``, where that provider looks for them.
"""

from __future__ import annotations

import os.path
import platform as machine
from pathlib import Path
from typing import Any

from engine.docker import schema
from engine.docker.build import Build, build_seconds, run_build
from engine.docker.client import Client
from engine.docker.context import context_digest
from engine.docker.remote_image import find_image
from engine.docker.schema import BOOLEAN, STRING, STRINGS, TEXT_MAP, Object, Property
from engine.model import UNKNOWN, PropertyMap, Secret, contains_unknown
from engine.provider import CheckFailure, CheckResult, DiffResult, Found, Kind, Log

_BUILD = Object(
    (
        Property("context", STRING, default="."),
        Property("dockerfile", STRING),
        Property("args", TEXT_MAP),
        Property("target", STRING),
        Property("platform", STRING),
        Property("network", STRING),
        Property("addHosts", STRINGS),
        Property("cacheFrom", Object((Property("images", STRINGS, required=True),))),
        Property(
            "builderVersion", STRING, valid=schema.matches("BuilderV1|BuilderBuildKit", "BuilderBuildKit or BuilderV1")
        ),
        Property("contextDigest", STRING, output=True),
    )
)
FIELDS = (
    Property("imageName", STRING, required=True),
    Property("build", _BUILD),
    Property("registry", Object(tuple(Property(name, STRING) for name in ("server", "username", "password")))),
    Property("skipPush", BOOLEAN),
    Property("buildOnPreview", BOOLEAN),
)
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "armv7l": "arm", "i686": "386"}


class Image:
    token = "docker:index/image:Image"

    def __init__(self, client: Client, root: Path) -> None:
        self.client, self.root = client, root

    def check(self, news: PropertyMap) -> CheckResult:
        checked, failures = schema.check(FIELDS, "", {}, news)
        inputs: PropertyMap = schema.without_defaults(checked)
        inputs.setdefault("buildOnPreview", False)
        if inputs.get("skipPush") is not UNKNOWN and not inputs.get("skipPush"):
            failures.append(
                CheckFailure(
                    "skipPush",
                    "'skipPush' must be true: this engine builds images and does not push them. "
                    "What to do: set skip_push=True, or push with the Pulumi CLI",
                )
            )
        build = inputs.setdefault("build", {})
        if build is not UNKNOWN and not failures:
            self._complete(build, failures)
        return CheckResult(inputs, failures)

    def _complete(self, build: PropertyMap, failures: list[CheckFailure]) -> None:
        """Add what the real provider adds: context, Dockerfile, digest, platform."""
        context = build.setdefault("context", ".")
        if context is not UNKNOWN:
            build.setdefault("dockerfile", str(Path(context) / "Dockerfile"))
        dockerfile = build.get("dockerfile", UNKNOWN)
        build.setdefault("platform", "linux/" + _ARCHITECTURES.get(machine.machine(), machine.machine()))
        if context is UNKNOWN or dockerfile is UNKNOWN:
            return
        if not (self.root / context).is_dir():
            failures.append(CheckFailure("build.context", f"there is no directory {context!r} in {self.root}"))
        elif not (self.root / dockerfile).is_file():
            inside = Path(context) / dockerfile
            hint = f"; did you mean {str(inside)!r}?" if (self.root / inside).is_file() else ""
            failures.append(CheckFailure("build.dockerfile", f"there is no file {dockerfile!r} in {self.root}{hint}"))
        else:
            try:
                build["contextDigest"] = context_digest(self.root, context, dockerfile)
            except OSError as error:
                failures.append(CheckFailure("build.context", f"the build context cannot be read: {error}"))

    def diff(self, old_inputs: PropertyMap, news: PropertyMap) -> DiffResult:
        detailed: dict[str, Kind] = {}
        for name in sorted({*old_inputs, *news} - {schema.DEFAULTS}):
            old, new = _comparable(name, old_inputs.get(name)), _comparable(name, news.get(name))
            if old != new or contains_unknown(new):
                detailed[name] = "add" if name not in old_inputs else "delete" if name not in news else "update"
        return DiffResult(bool(detailed), detailed=detailed)

    def create(self, inputs: PropertyMap, timeout: float, preview: bool, log: Log) -> Found:
        name = inputs["imageName"]
        if preview and (not inputs.get("buildOnPreview") or contains_unknown(inputs)):
            return Found("", _outputs(inputs, UNKNOWN))
        return Found(str(name), self._build(inputs, timeout, log))

    def update(self, inputs: PropertyMap, timeout: float, preview: bool, log: Log) -> PropertyMap:
        return self.create(inputs, timeout, preview, log).outputs

    def read(self, id: str, inputs: PropertyMap, outputs: PropertyMap) -> Found:
        """The real provider reports what is in state; here an image that is gone is, so that it is built again."""
        digest = str(outputs.get("repoDigest", ""))
        shown = find_image(self.client, id)
        if shown is None or (digest.startswith("sha256:") and find_image(self.client, digest) is None):
            return Found("", {})
        if schema.is_zero(outputs):
            inputs = {"imageName": id, "skipPush": True, "buildOnPreview": False, "build": {}}
            outputs = _outputs(inputs, shown["Id"])
        return Found(id, outputs, inputs)

    def _build(self, inputs: PropertyMap, timeout: float, log: Log) -> PropertyMap:
        options = inputs["build"]
        build = Build(
            image=inputs["imageName"],
            context=options["context"],
            dockerfile=options["dockerfile"],
            args=options.get("args", {}),
            target=options.get("target", ""),
            platform=options.get("platform", ""),
            network=options.get("network", ""),
            hosts=tuple(options.get("addHosts", ())),
            cache_from=tuple(options.get("cacheFrom", {}).get("images", ())),
            buildkit=options.get("builderVersion") != "BuilderV1",
        )
        seconds = timeout or build_seconds
        return _outputs(
            inputs, run_build(build, self.root, self.client.host, seconds, lambda line: log("info", line, True))
        )


def _comparable(name: str, value: Any) -> Any:
    """Registry credentials change often and are no reason to build again."""
    value = schema.without_defaults(value)
    return value.get("server") if name == "registry" and isinstance(value, dict) else value


def _outputs(inputs: PropertyMap, digest: Any) -> PropertyMap:
    build = inputs.get("build")
    options: PropertyMap = build if isinstance(build, dict) else {}
    context, dockerfile = options.get("context", UNKNOWN), options.get("dockerfile", UNKNOWN)
    if isinstance(context, str) and isinstance(dockerfile, str):
        dockerfile = _relative(dockerfile, context)
    registry = inputs.get("registry")
    return {
        "baseImageName": inputs["imageName"],
        "imageName": inputs["imageName"],
        "registryServer": registry.get("server", "") if isinstance(registry, dict) else "",
        "context": context,
        "dockerfile": dockerfile,
        "platform": options.get("platform", ""),
        "repoDigest": digest,
        # As the real provider does: it finds the old inputs here, and they may hold credentials.
        "__inputs": Secret(inputs),
    }


def _relative(dockerfile: str, context: str) -> str:
    """The Dockerfile as seen from the context."""
    return os.path.relpath(dockerfile, context)
