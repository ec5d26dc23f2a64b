"""Python's dynamic providers: a client of the server that ``pulumi.dynamic`` runs beside the program.

The server knows neither secrets nor references nor previews, so in a preview a create or an update gives
back the inputs, and what only the provider can tell stays unknown to the program (as in the real engine).
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable
from typing import Final, TypeVar

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from engine.deploy.language import environment
from engine.deploy.options import Program
from engine.deploy.server import Server
from engine.deploy.values import from_struct, to_struct
from engine.events import Diagnostic, Emit
from engine.model import PropertyMap, Secret
from engine.provider import (
    CheckFailure,
    CheckResult,
    CreateResult,
    DiffResult,
    Log,
    ProviderError,
    ReadResult,
)

Reply = TypeVar("Reply")
_changes: Final[dict[int, bool | None]] = {
    provider_pb2.DiffResponse.DIFF_UNKNOWN: None,
    provider_pb2.DiffResponse.DIFF_NONE: False,
    provider_pb2.DiffResponse.DIFF_SOME: True,
}


class OutcomeUnknown(ProviderError):
    """The provider died during the call: nobody knows what it did, so the operation stays on record as pending."""


def start(program: Program, config: dict[str, str | Secret], engine: str, emit: Emit) -> Server:
    """The one server of all dynamic providers of an operation."""
    options = {f"PULUMI_RUNTIME_{key.upper()}": str(value) for key, value in program.runtime_options.items()}
    environ = {**environment(program, config), **options}
    what = "the server of the dynamic providers"
    return Server(what, program.python, "pulumi.dynamic", [engine], program.directory, environ, emit)


class DynamicProvider:
    """One configured ``pulumi-python`` provider (satisfies :class:`engine.provider.Provider`)."""

    def __init__(self, server: Callable[[], Server], log: Emit) -> None:
        self._server, self._emit = server, log

    def configure(self, inputs: PropertyMap) -> None:
        """``inputs``: the whole configuration by full keys, without secret marks."""
        request = provider_pb2.ConfigureRequest(args=to_struct(inputs), acceptSecrets=True, acceptResources=True)
        self._call("", lambda stub: stub.Configure(request))

    def check(self, urn: str, olds: PropertyMap, news: PropertyMap) -> CheckResult:
        request = provider_pb2.CheckRequest(urn=urn, olds=to_struct(olds), news=to_struct(news))
        reply = self._call(urn, lambda stub: stub.Check(request))
        failures = [CheckFailure(failure.property, failure.reason) for failure in reply.failures]
        return CheckResult(from_struct(reply.inputs), failures)

    def diff(
        self, urn: str, id: str, old_inputs: PropertyMap, old_outputs: PropertyMap, news: PropertyMap, ignore: list[str]
    ) -> DiffResult:
        request = provider_pb2.DiffRequest(
            id=id,
            urn=urn,
            olds=to_struct(old_outputs),
            news=to_struct(news),
            ignoreChanges=ignore,
            old_inputs=to_struct(old_inputs),
        )
        reply = self._call(urn, lambda stub: stub.Diff(request))
        return DiffResult(_changes[reply.changes], list(reply.replaces), reply.deleteBeforeReplace)

    def create(self, urn: str, inputs: PropertyMap, timeout: float, preview: bool, log: Log) -> CreateResult:
        if preview:
            return CreateResult("", inputs)
        request = provider_pb2.CreateRequest(urn=urn, properties=to_struct(inputs), timeout=timeout)
        reply = self._call(urn, lambda stub: stub.Create(request))
        return CreateResult(reply.id, from_struct(reply.properties))

    def read(self, urn: str, id: str, inputs: PropertyMap, outputs: PropertyMap, log: Log) -> ReadResult:
        request = provider_pb2.ReadRequest(id=id, urn=urn, properties=to_struct(outputs), inputs=to_struct(inputs))
        reply = self._call(urn, lambda stub: stub.Read(request))
        read_inputs = from_struct(reply.inputs) if reply.HasField("inputs") else None
        return ReadResult(reply.id, from_struct(reply.properties), read_inputs)

    def update(
        self,
        urn: str,
        id: str,
        old_inputs: PropertyMap,
        old_outputs: PropertyMap,
        news: PropertyMap,
        timeout: float,
        ignore: list[str],
        preview: bool,
        log: Log,
    ) -> PropertyMap:
        if preview:
            return news
        request = provider_pb2.UpdateRequest(
            id=id,
            urn=urn,
            olds=to_struct(old_outputs),
            news=to_struct(news),
            timeout=timeout,
            ignoreChanges=ignore,
            old_inputs=to_struct(old_inputs),
        )
        return from_struct(self._call(urn, lambda stub: stub.Update(request)).properties)

    def delete(self, urn: str, id: str, inputs: PropertyMap, outputs: PropertyMap, timeout: float, log: Log) -> None:
        request = provider_pb2.DeleteRequest(
            id=id, urn=urn, properties=to_struct(outputs), timeout=timeout, old_inputs=to_struct(inputs)
        )
        self._call(urn, lambda stub: stub.Delete(request))

    def invoke(self, token: str, args: PropertyMap) -> PropertyMap:
        raise ProviderError(f"dynamic providers have no functions, so none is called {token}")

    def close(self) -> None:
        pass  # the server serves every provider of the operation, which closes it

    def _call(self, urn: str, method: Callable[[provider_pb2_grpc.ResourceProviderStub], Reply]) -> Reply:
        server = self._server()
        try:
            return method(server.stub(provider_pb2_grpc.ResourceProviderStub))
        except grpc.RpcError as error:
            details = error.details() or str(error.code())
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise OutcomeUnknown(f"the server of the dynamic providers has ended: {details}") from error
            message = exception_text(details)
            if message != details:
                self._emit(Diagnostic("debug", details, urn))
            raise ProviderError(message) from error


def exception_text(details: str) -> str:
    """What a traceback says in its end; the text itself when it is no traceback.

    Of an exception class of the provider's own only the message is shown, of Python's own its name too,
    since ``KeyError: 'name'`` says more than ``'name'``.
    """
    lines = details.rstrip().splitlines()
    frames = [i for i, line in enumerate(lines) if line.startswith('  File "')]
    if not frames:
        return details
    end = frames[-1] + 1
    while end < len(lines) and lines[end].startswith("    "):
        end += 1
    text = "\n".join(lines[end:])
    match = re.match(r"([\w.]+): (.+)", text, re.DOTALL)
    own = match is not None and (match[1] == "Exception" or not hasattr(builtins, match[1]))
    return match[2] if match and own else text or details
