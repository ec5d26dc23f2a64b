"""The Docker provider: resource types by token, on one daemon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from engine.docker import recovery
from engine.docker.bridged import Bridged, NameTaken
from engine.docker.client import Client, Settings
from engine.docker.container import Container
from engine.docker.image import Image
from engine.docker.network import Network
from engine.docker.remote_image import RemoteImage
from engine.docker.schema import is_zero
from engine.docker.volume import Volume
from engine.model import UNKNOWN, PropertyMap
from engine.provider import Call, CheckResult, DiffResult, Found, Provider, ProviderError

_SUPPORTED = {"host", "certPath", "registryAuth", "disableDockerDaemonCheck", "version", "pluginDownloadURL"}


class DockerProvider(Provider):
    """``pulumi-docker`` 5.2 on docker-py: Network, Volume, Image, RemoteImage, Container.

    Paths in resources (build contexts, sources of uploads) are relative to ``root``, by default the
    working directory.  Nothing is connected before the first call that needs the daemon.
    """

    recovers = True

    def __init__(self, root: Path | None = None, preflight: bool = False) -> None:
        """``preflight``: an update follows, so checks also look at this host (ports in use)."""
        self._root, self._preflight = root, preflight
        self._interrupted: dict[str, set[str]] = {}  # URNs whose creation was once cut short, and ids that are others
        self._settle(Settings())

    def _settle(self, settings: Settings) -> None:
        root = self._root or Path.cwd()
        self._client = Client(settings)
        self._image = Image(self._client, root)
        types: list[Bridged] = [
            Network(self._client),
            Volume(self._client),
            RemoteImage(self._client),
            Container(self._client, root, self._preflight),
        ]
        self._types = {type.token: type for type in types}

    def configure(self, inputs: PropertyMap) -> None:
        """``host``, ``certPath``, ``registryAuth`` (``address``, ``username``, ``password``); others are refused."""
        refused = sorted(name for name, value in inputs.items() if name not in _SUPPORTED and not is_zero(value))
        if refused:
            raise ProviderError(
                f"the Docker provider's setting {', '.join(refused)} is not supported by this engine; "
                f"supported are host, certPath and registryAuth"
            )
        given = {name: "" if value is UNKNOWN else value for name, value in inputs.items()}
        self._client.close()
        self._settle(
            Settings(
                host=str(given.get("host") or ""),
                cert_path=str(given.get("certPath") or ""),
                registries=_registries(given.get("registryAuth")),
            )
        )

    def check(self, call: Call) -> CheckResult:
        if self._is_image(call.urn):
            return self._image.check(call.news)
        return self._type(call.urn).check(call.urn.rsplit("::", 1)[-1], call.inputs, call.news)

    def diff(self, call: Call) -> DiffResult:
        news = _ignoring(call.inputs, call.news, call.ignore)
        return (self._image if self._is_image(call.urn) else self._type(call.urn)).diff(call.inputs, news)

    def create(self, call: Call) -> Found:
        urn, inputs = call.urn, call.news
        if self._is_image(urn):
            return self._image.create(inputs, call.timeout, call.preview, call.log)
        kind = self._type(urn)
        try:
            return kind.create(inputs, call.timeout, call.preview, call.log)
        except NameTaken:
            # The daemon may have gone on with the interrupted call, and ended it only after recover() looked.
            taken = recovery.own(kind, urn, inputs) if urn in self._interrupted else None
            if taken is None or taken["Id"] in self._interrupted[urn]:
                raise
            recovery.clear(kind, taken, inputs, call.log)
            return kind.create(inputs, call.timeout, call.preview, call.log)

    def recover(self, call: Call, known: set[str]) -> Found | None:
        self._interrupted[call.urn] = known
        if self._is_image(call.urn):
            return None  # it is built, or looked for, again: what was pulled or is in the cache already is found
        return recovery.recover(self._type(call.urn), call.urn, call.news, known, call.log)

    def read(self, call: Call) -> Found:
        kind = self._image if self._is_image(call.urn) else self._type(call.urn)
        return kind.read(call.id, call.inputs, call.outputs)

    def update(self, call: Call) -> PropertyMap:
        news = _ignoring(call.inputs, call.news, call.ignore)
        if self._is_image(call.urn):
            return self._image.update(news, call.timeout, call.preview, call.log)
        kind = self._type(call.urn)
        return kind.update(call.id, call.inputs, call.outputs, news, call.timeout, call.preview, call.log)

    def delete(self, call: Call) -> None:
        # A built image stays, as with the real provider: others may use its layers, and it may be used again.
        if not self._is_image(call.urn):
            self._type(call.urn).delete(call.id, call.inputs, call.timeout, call.log)

    def invoke(self, token: str, args: PropertyMap) -> PropertyMap:
        raise ProviderError(f"the function {token} is not supported by this engine's Docker provider")

    def close(self) -> None:
        self._client.close()

    def _is_image(self, urn: str) -> bool:
        return _token(urn) == Image.token

    def _type(self, urn: str) -> Bridged:
        token = _token(urn)
        try:
            return self._types[token]
        except KeyError:
            known = ", ".join(sorted([*self._types, Image.token]))
            raise ProviderError(
                f"{token} is not supported by this engine's Docker provider; it knows {known}"
            ) from None


def _token(urn: str) -> str:
    """``urn:pulumi:<stack>::<project>::<parent types>$<type>::<name>`` -> type."""
    return urn.split("::")[2].rsplit("$", 1)[-1]


def _ignoring(olds: PropertyMap, news: PropertyMap, ignore: list[str]) -> PropertyMap:
    """The new inputs with the old values of what is to be ignored (top-level and dotted paths)."""
    for path in ignore:
        news = _with_old(olds, news, path.split("."))
    return news


def _with_old(olds: PropertyMap, news: PropertyMap, path: list[str]) -> PropertyMap:
    name, rest = path[0], path[1:]
    old, new = olds.get(name), news.get(name)
    if rest and isinstance(old, dict) and isinstance(new, dict):
        return {**news, name: _with_old(old, new, rest)}
    kept = {key: value for key, value in news.items() if key != name}
    return {**kept, name: old} if name in olds else kept


def _registries(value: Any) -> dict[str, dict[str, str]]:
    entries = json.loads(value) if isinstance(value, str) and value else value
    found = {}
    for entry in entries or []:
        if not entry.get("username"):
            raise ProviderError(
                f"registryAuth for {entry.get('address')} needs 'address', 'username' and 'password': "
                "this engine reads no other form of credentials (docker login works as well)"
            )
        found[str(entry["address"])] = {"username": entry["username"], "password": entry.get("password", "")}
    return found
