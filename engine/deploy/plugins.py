"""Providers by reference (``<URN>::<ID>``), each made and configured when it is first asked something."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from engine.deploy import dynamic
from engine.deploy.builtin import BuiltinProvider
from engine.deploy.options import Job
from engine.deploy.paths import differences, keep_old, marked_as_replacing
from engine.deploy.process import Server
from engine.deploy.state import State, provider_urn
from engine.deploy.values import mark_like, plain, same
from engine.events import Diagnostic
from engine.model import PropertyMap, Resource, contains_unknown, provider_prefix
from engine.provider import Call, CheckResult, DiffResult, Found, PartialFailure, Provider, ProviderError

supported = ("docker", "pulumi", "pulumi-python")


def package_of(type: str) -> str:
    """``docker`` of ``docker:index/container:Container`` and of ``pulumi:providers:docker``."""
    return type.removeprefix(provider_prefix).split(":")[0]


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
    """What the steps talk to: resources keep their marks here, and are handed on in plain.

    Configuration that is unknown in a preview leaves the provider out of it: nothing can be asked then.
    """

    def __init__(
        self, make: Callable[[], Provider], config: PropertyMap, workers: threading.Semaphore, job: Job
    ) -> None:
        self._make, self.config, self._workers, self._job = make, config, workers, job
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

    def _ask(self, method: str, old: Resource | None, new: Resource | None, *more: Any) -> Any:
        """One call about a resource.  A PartialFailure carries what is there marked too."""
        subject = new or old
        assert subject is not None
        call = Call(
            subject.urn,
            old.id if old else "",
            plain(old.inputs) if old else {},
            plain(old.outputs) if old else {},
            plain(new.inputs) if new else {},
            subject.custom_timeouts.get(method, 0),
            subject.ignore_changes,
            self._job.options.preview,
            lambda severity, message, ephemeral: self._job.emit(Diagnostic(severity, message, subject.urn, ephemeral)),
        )
        try:
            with self._workers:
                return getattr(self._ready(), method)(call, *more)
        except PartialFailure as error:
            inputs = None if error.inputs is None else mark_like(error.inputs, subject.inputs)
            outputs = mark_like(error.outputs, subject.inputs)
            raise PartialFailure(str(error), error.id, outputs, inputs) from error

    def check(self, old: Resource | None, new: Resource) -> CheckResult:
        if not self._known:
            return CheckResult(new.inputs)
        result: CheckResult = self._ask("check", old, new)
        return CheckResult(mark_like(result.inputs, new.inputs), result.failures)

    def diff(self, old: Resource, new: Resource) -> DiffResult:
        """``changes`` of the result is never None: the inputs are compared when the provider does not know."""
        if not self._known:
            message = "The provider's inputs are not known yet: the update may do something else than is shown."
            self._job.emit(Diagnostic("warning", message, new.urn))
            return DiffResult(True)
        result: DiffResult = self._ask("diff", old, new)
        if result.changes is not None:
            return result
        changed = differences(old.inputs, keep_old(new.inputs, old.inputs, new.ignore_changes))
        detailed = marked_as_replacing(changed, result.replaces)
        return DiffResult(bool(detailed), result.replaces, result.delete_before_replace, detailed or None)

    def create(self, new: Resource) -> None:
        """Sets id and outputs of ``new``."""
        if self._known:
            made: Found = self._ask("create", None, new)
            if not made.id and not self._job.options.preview:
                raise ProviderError("the provider gave no id for what it created")
            new.id, new.outputs = made.id, mark_like(made.outputs, new.inputs)

    def recover(self, new: Resource, known: set[str]) -> bool | None:
        """Whether a creation that was cut short made ``new``, which then gets id and outputs; None: unknown.

        ``known``: ids of that URN in the state.  A PartialFailure carries id and outputs of what is unfinished.
        """
        if not self._ready().recovers:
            return None
        made: Found | None = self._ask("recover", None, new, known)
        if made is not None:
            new.id, new.outputs = made.id, mark_like(made.outputs, new.inputs)
        return made is not None

    def update(self, old: Resource, new: Resource) -> None:
        if self._known:
            new.outputs = mark_like(self._ask("update", old, new), new.inputs)

    def read(self, old: Resource) -> Found:
        """Of an empty id nothing is left; unknown configuration leaves the resource as it was."""
        if not self._known:
            return Found(old.id, old.outputs, old.inputs)
        found: Found = self._ask("read", old, None)
        inputs = None if found.inputs is None else mark_like(found.inputs, old.inputs)
        return Found(found.id, mark_like(mark_like(found.outputs, old.outputs), old.inputs), inputs)

    def delete(self, old: Resource) -> None:
        self._ask("delete", old, None)

    def invoke(self, token: str, args: PropertyMap) -> PropertyMap:
        with self._workers:
            return self._ready().invoke(token, plain(args))

    def close(self) -> None:
        if self._provider is not None:
            self._provider.close()


class Providers:
    """The registry of one operation; ``news`` gives a resource that it has dealt with."""

    def __init__(self, job: Job, state: State, news: Callable[[str], Resource | None]) -> None:
        self._job, self._state, self._news = job, state, news
        self._workers = threading.BoundedSemaphore(max(job.options.parallel, 1))
        self._lock = threading.Lock()
        self._known: dict[str, ManagedProvider] = {}
        self._server: Server | None = None
        self.engine_address = ""

    def prepare(self) -> None:
        """Start the server of dynamic providers while the program is still importing, when it will be needed."""
        if any(r.type == f"{provider_prefix}pulumi-python" for r in self._state.base):
            self._dynamic_server()

    def _dynamic_server(self) -> Server:
        with self._lock:
            if self._server is None:
                self._server = dynamic.start(self._job, self.engine_address)
            return self._server

    def _made(self, package: str) -> Provider:
        if package == "pulumi":
            return BuiltinProvider(self._job.options.stack_outputs, self._news)
        if package == "docker":
            from engine.docker import DockerProvider  # docker-py is only needed, and loaded, when Docker is used

            return DockerProvider(preflight=not self._job.options.preview)
        return dynamic.DynamicProvider(self._dynamic_server, self._job.emit)

    def register(self, resource: Resource) -> None:
        """``resource`` (a provider with its id) can be referred to from now on."""
        package = package_of(resource.type)
        require(package)
        reference, inputs = f"{resource.urn}::{resource.id}", resource.inputs
        with self._lock:
            known = self._known.get(reference)
            if known is None or not same(known.config, inputs):
                self._known[reference] = ManagedProvider(lambda: self._made(package), inputs, self._workers, self._job)

    def get(self, reference: str) -> ManagedProvider:
        """The provider of a reference; one that only the old state knows is made from there."""
        if reference not in self._known:
            urn, id = provider_urn(reference), reference.rpartition("::")[2]
            for resource in reversed(self._state.base):
                if resource.urn == urn and resource.id == id:
                    self.register(resource)
                    break
            else:
                raise ProviderError(f"unknown provider {urn} (id {id}): neither the program nor the state has it")
        return self._known[reference]

    def of(self, resource: Resource) -> ManagedProvider | None:
        """A resource's provider; components and providers have none."""
        return self.get(resource.provider) if resource.provider else None

    def close(self) -> None:
        for provider in self._known.values():
            provider.close()
        if self._server is not None:
            self._server.close()
