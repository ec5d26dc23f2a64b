"""Providers by reference (``<URN>::<ID>``), each made and configured when it is first asked something."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from engine.deploy import dynamic
from engine.deploy.builtin import BuiltinProvider
from engine.deploy.options import Options, Program
from engine.deploy.paths import differences, keep_old, marked_as_replacing
from engine.deploy.server import Server
from engine.deploy.state import State, provider_urn
from engine.deploy.values import mark_like, plain, same
from engine.events import Diagnostic, Emit
from engine.model import PropertyMap, Resource, Secret, contains_unknown
from engine.provider import CheckResult, DiffResult, Log, PartialFailure, Provider, ProviderError, ReadResult, Recovers

supported = ("docker", "pulumi", "pulumi-python")


def package_of(type: str) -> str:
    """``docker`` of ``docker:index/container:Container`` and of ``pulumi:providers:docker``."""
    parts = type.split(":")
    return parts[2] if parts[:2] == ["pulumi", "providers"] and len(parts) > 2 else parts[0]


def settings_of(inputs: PropertyMap) -> PropertyMap:
    """A provider's own configuration, without what the engine keeps with it."""
    return {key: value for key, value in inputs.items() if key not in ("version", "__internal")}


def require(package: str) -> None:
    """Refuse a package that this engine has no provider for."""
    if package not in supported:
        raise ProviderError(
            f"the package '{package}' needs a plugin, and the embedded engine serves {', '.join(supported)} only. "
            "Run this program with the Pulumi CLI."
        )


class ManagedProvider:
    """What the steps talk to: values keep their marks here, and are handed on in plain.

    Configuration that is unknown in a preview leaves the provider out of it: nothing can be asked then.
    """

    def __init__(
        self, make: Callable[[], Provider], config: PropertyMap, worker: AbstractContextManager[Any], emit: Emit
    ) -> None:
        self._make, self.config, self._worker, self._emit = make, config, worker, emit
        self._known = not contains_unknown(config)
        self._lock = threading.Lock()
        self._provider: Provider | None = None

    def _ready(self) -> Provider:
        with self._lock:
            if self._provider is None:
                provider = self._make()
                provider.configure(settings_of(plain(self.config)))
                self._provider = provider
            return self._provider

    def log(self, urn: str) -> Log:
        return lambda severity, message, ephemeral: self._emit(Diagnostic(severity, message, urn, ephemeral))

    def check(self, urn: str, olds: PropertyMap, news: PropertyMap) -> CheckResult:
        if not self._known:
            return CheckResult(news)
        with self._worker:
            result = self._ready().check(urn, plain(olds), plain(news))
        return CheckResult(mark_like(result.inputs, news), result.failures)

    def diff(
        self, urn: str, id: str, inputs: PropertyMap, outputs: PropertyMap, news: PropertyMap, ignore: list[str]
    ) -> DiffResult:
        """``changes`` of the result is never None: the inputs are compared when the provider does not know."""
        if not self._known:
            message = "The provider's inputs are not known yet: the update may do something else than is shown."
            self._emit(Diagnostic("warning", message, urn))
            return DiffResult(True)
        with self._worker:
            result = self._ready().diff(urn, id, plain(inputs), plain(outputs), plain(news), ignore)
        if result.changes is not None:
            return result
        detailed = marked_as_replacing(differences(inputs, keep_old(news, inputs, ignore)), result.replaces)
        return DiffResult(bool(detailed), result.replaces, result.delete_before_replace, detailed or None)

    def create(self, new: Resource, preview: bool) -> None:
        """Sets id and outputs of ``new``; a PartialFailure carries them marked too."""
        if not self._known:
            return
        timeout = new.custom_timeouts.get("create", 0)
        try:
            with self._worker:
                result = self._ready().create(new.urn, plain(new.inputs), timeout, preview, self.log(new.urn))
        except PartialFailure as error:
            raise _marked(error, new.inputs) from error
        if not result.id and not preview:
            raise ProviderError("the provider gave no id for what it created")
        new.id, new.outputs = result.id, mark_like(result.outputs, new.inputs)

    def recover(self, new: Resource, known: set[str]) -> bool | None:
        """Whether a creation that was cut short made ``new``, which then gets id and outputs; None: unknown.

        ``known``: ids of that URN in the state.  A PartialFailure carries id and outputs of what is unfinished.
        """
        with self._worker:
            provider = self._ready()
            if not isinstance(provider, Recovers):
                return None
            try:
                result = provider.recover(new.urn, plain(new.inputs), known, self.log(new.urn))
            except PartialFailure as error:
                raise _marked(error, new.inputs) from error
        if result is not None:
            new.id, new.outputs = result.id, mark_like(result.outputs, new.inputs)
        return result is not None

    def update(self, old: Resource, new: Resource, ignore: list[str], preview: bool) -> None:
        if not self._known:
            return
        timeout = new.custom_timeouts.get("update", 0)
        ins, outs, news = plain(old.inputs), plain(old.outputs), plain(new.inputs)
        try:
            with self._worker:
                provider = self._ready()
                result = provider.update(new.urn, old.id, ins, outs, news, timeout, ignore, preview, self.log(new.urn))
        except PartialFailure as error:
            raise _marked(error, new.inputs) from error
        new.outputs = mark_like(result, new.inputs)

    def read(self, urn: str, id: str, inputs: PropertyMap, outputs: PropertyMap) -> ReadResult:
        """Of an empty id nothing is left; unknown configuration leaves the resource as it was."""
        if not self._known:
            return ReadResult(id, outputs, inputs)
        with self._worker:
            result = self._ready().read(urn, id, plain(inputs), plain(outputs), self.log(urn))
        read_inputs = None if result.inputs is None else mark_like(result.inputs, inputs)
        return ReadResult(result.id, mark_like(mark_like(result.outputs, outputs), inputs), read_inputs)

    def delete(self, old: Resource) -> None:
        timeout = old.custom_timeouts.get("delete", 0)
        with self._worker:
            self._ready().delete(old.urn, old.id, plain(old.inputs), plain(old.outputs), timeout, self.log(old.urn))

    def invoke(self, token: str, args: PropertyMap) -> PropertyMap:
        with self._worker:
            return self._ready().invoke(token, plain(args))

    def close(self) -> None:
        if self._provider is not None:
            self._provider.close()


def _marked(error: PartialFailure, inputs: PropertyMap) -> PartialFailure:
    news = None if error.inputs is None else mark_like(error.inputs, inputs)
    return PartialFailure(str(error), error.id, mark_like(error.outputs, inputs), news)


class Providers:
    """The registry of one operation."""

    def __init__(
        self,
        program: Program,
        config: dict[str, str | Secret],
        options: Options,
        state: State,
        worker: AbstractContextManager[Any],
        emit: Emit,
        news: Callable[[str], Resource | None],
    ) -> None:
        self._program, self._config, self._state = program, config, state
        self._worker, self._emit = worker, emit
        self._preview = options.preview
        self._builtin = BuiltinProvider(options.stack_outputs, news)
        self._lock = threading.Lock()
        self._known: dict[str, ManagedProvider] = {}
        self._server: Server | None = None
        self.engine_address = ""

    def prepare(self) -> None:
        """Start the server of dynamic providers while the program is still importing, when it will be needed."""
        if any(r.type == "pulumi:providers:pulumi-python" for r in self._state.base):
            self._dynamic_server()

    def _dynamic_server(self) -> Server:
        with self._lock:
            if self._server is None:
                self._server = dynamic.start(self._program, self._config, self.engine_address, self._emit)
            return self._server

    def register(self, resource: Resource, inputs: PropertyMap) -> None:
        """``resource`` (a provider with its id) can be referred to from now on."""
        package = package_of(resource.type)
        require(package)
        builtin: dict[str, Callable[[], Provider]] = {
            "docker": lambda: _docker(not self._preview),
            "pulumi": lambda: self._builtin,
        }
        make = builtin.get(package, self._dynamic)
        reference = f"{resource.urn}::{resource.id}"
        with self._lock:
            known = self._known.get(reference)
            if known is None or not same(known.config, inputs):
                self._known[reference] = ManagedProvider(make, inputs, self._worker, self._emit)

    def _dynamic(self) -> Provider:
        return dynamic.DynamicProvider(self._dynamic_server, self._emit)

    def get(self, reference: str) -> ManagedProvider:
        """The provider of a reference; one that only the old state knows is made from there."""
        if reference not in self._known:
            urn, id = provider_urn(reference), reference.rpartition("::")[2]
            for resource in reversed(self._state.base):
                if resource.urn == urn and resource.id == id:
                    self.register(resource, resource.inputs)
                    break
            else:
                raise ProviderError(f"unknown provider {urn} (id {id}): neither the program nor the state has it")
        return self._known[reference]

    def close(self) -> None:
        for provider in self._known.values():
            provider.close()
        if self._server is not None:
            self._server.close()


def _docker(preflight: bool) -> Provider:
    from engine.docker import DockerProvider  # docker-py is only needed, and loaded, when Docker is used

    return DockerProvider(preflight=preflight)
