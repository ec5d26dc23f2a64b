"""Python's dynamic providers: a client of the server that ``pulumi.dynamic`` runs beside the program.

The server knows neither secrets nor references nor previews, so in a preview a create or an update gives
back the inputs, and what only the provider can tell stays unknown to the program (as in the real engine).
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable
from typing import Any, Final

import grpc
from pulumi.runtime.proto import provider_pb2, provider_pb2_grpc

from engine.deploy.options import Job
from engine.deploy.process import Server
from engine.deploy.values import from_struct, to_struct
from engine.events import Diagnostic, Emit
from engine.model import PropertyMap
from engine.provider import Call, CheckFailure, CheckResult, DiffResult, Found, Provider, ProviderError

# The request of each call, and which part of a Call its fields hold.
_requests: Final[dict[str, tuple[Any, dict[str, str]]]] = {
    "Check": (provider_pb2.CheckRequest, {"olds": "inputs", "news": "news"}),
    "Diff": (provider_pb2.DiffRequest, {"olds": "outputs", "news": "news", "old_inputs": "inputs"}),
    "Create": (provider_pb2.CreateRequest, {"properties": "news"}),
    "Read": (provider_pb2.ReadRequest, {"properties": "outputs", "inputs": "inputs"}),
    "Update": (provider_pb2.UpdateRequest, {"olds": "outputs", "news": "news", "old_inputs": "inputs"}),
    "Delete": (provider_pb2.DeleteRequest, {"properties": "outputs", "old_inputs": "inputs"}),
}
_changes: Final = {provider_pb2.DiffResponse.DIFF_NONE: False, provider_pb2.DiffResponse.DIFF_SOME: True}


class OutcomeUnknown(ProviderError):
    """The provider died during the call: nobody knows what it did, so the operation stays on record as pending."""


def start(job: Job, engine: str) -> Server:
    """The one server of all dynamic providers of an operation."""
    program = job.program
    options = {f"PULUMI_RUNTIME_{key.upper()}": str(value) for key, value in program.runtime_options.items()}
    what = "the server of the dynamic providers"
    return Server(what, job, ["pulumi.dynamic", engine], program.python, program.directory, options)


class DynamicProvider(Provider):
    """One configured ``pulumi-python`` provider; the server serves them all, and whoever started it closes it."""

    def __init__(self, server: Callable[[], Server], emit: Emit) -> None:
        self._server, self._emit = server, emit

    def configure(self, inputs: PropertyMap) -> None:
        """``inputs``: the whole configuration by full keys, without secret marks."""
        request = provider_pb2.ConfigureRequest(args=to_struct(inputs), acceptSecrets=True, acceptResources=True)
        self._send("", "Configure", request)

    def check(self, call: Call) -> CheckResult:
        reply = self._ask("Check", call)
        failures = [CheckFailure(failure.property, failure.reason) for failure in reply.failures]
        return CheckResult(from_struct(reply.inputs), failures)

    def diff(self, call: Call) -> DiffResult:
        reply = self._ask("Diff", call)
        return DiffResult(_changes.get(reply.changes), list(reply.replaces), reply.deleteBeforeReplace)

    def create(self, call: Call) -> Found:
        if call.preview:
            return Found("", call.news)
        reply = self._ask("Create", call)
        return Found(reply.id, from_struct(reply.properties))

    def read(self, call: Call) -> Found:
        reply = self._ask("Read", call)
        inputs = from_struct(reply.inputs) if reply.HasField("inputs") else None
        return Found(reply.id, from_struct(reply.properties), inputs)

    def update(self, call: Call) -> PropertyMap:
        return call.news if call.preview else from_struct(self._ask("Update", call).properties)

    def delete(self, call: Call) -> None:
        self._ask("Delete", call)

    def invoke(self, token: str, args: PropertyMap) -> PropertyMap:
        raise ProviderError(f"dynamic providers have no functions, so none is called {token}")

    def _ask(self, method: str, call: Call) -> Any:
        kind, parts = _requests[method]
        fields: dict[str, Any] = {name: to_struct(getattr(call, part)) for name, part in parts.items()}
        more = {"urn": call.urn, "id": call.id, "timeout": call.timeout, "ignoreChanges": call.ignore}
        fields.update((name, value) for name, value in more.items() if name in kind.DESCRIPTOR.fields_by_name)
        return self._send(call.urn, method, kind(**fields))

    def _send(self, urn: str, method: str, request: Any) -> Any:
        server = self._server()
        try:
            return getattr(server.stub(provider_pb2_grpc.ResourceProviderStub), method)(request)
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
