"""Functions of the program that the engine calls: transforms of what it registers, and hooks around steps.

The program serves them (``pulumirpc.Callbacks``) until the engine tells it that nothing more is needed.
"""

from __future__ import annotations

import threading
from typing import Any, Final

import grpc
from google.protobuf import struct_pb2
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

from engine.backend.codec import secret_signature, signature, unknown_token
from engine.deploy.goals import Goal, aliases_of, deletes_first
from engine.deploy.options import Job
from engine.deploy.process import channel_options
from engine.deploy.values import from_struct, output_signature, to_struct
from engine.events import Diagnostic
from engine.model import Resource

_Options: Final = resource_pb2.TransformResourceOptions
# A registration's options as a transform sees them: names in the request, and there.
_names: Final = {field.camelcase_name: field.name for field in _Options.DESCRIPTOR.fields} | {
    "dependencies": "depends_on",
    "pluginDownloadURL": "plugin_download_url",
    "importId": "import",
    "hideDiffs": "hide_diff",
    "replace_with": "replace_with",
    "replacement_trigger": "replacement_trigger",
}
_names_back: Final = {ours: theirs for theirs, ours in _names.items() if theirs in Goal.DESCRIPTOR.fields_by_name}


class HookFailed(Exception):
    """A hook of the program raised an error, or is not there any more."""


class Callbacks:
    def __init__(self, job: Job) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._channels: dict[str, grpc.Channel] = {}
        self.stack_transforms: list[Any] = []
        self._transforms: dict[str, tuple[str, list[Any]]] = {}  # URN -> its parent, its transforms
        self.hooks: dict[str, Any] = {}  # RegisterResourceHookRequest by name

    def _invoke(self, callback: Any, request: Any) -> bytes:
        with self._lock:
            if callback.target not in self._channels:
                self._channels[callback.target] = grpc.insecure_channel(callback.target, options=channel_options)
            channel = self._channels[callback.target]
        content = callback_pb2.CallbackInvokeRequest(token=callback.token, request=request.SerializeToString())
        try:
            return bytes(callback_pb2_grpc.CallbacksStub(channel).Invoke(content).response)
        except grpc.RpcError as error:
            raise HookFailed(error.details()) from error

    def close(self) -> None:
        for channel in self._channels.values():
            channel.close()

    # Transforms

    def remember(self, urn: str, request: Goal) -> None:
        """What is registered below ``urn`` is transformed as that was."""
        self._transforms[urn] = (request.parent, list(request.transforms))

    def transformed(self, request: Goal) -> Goal:
        """The registration after its own transforms, its parents' and the stack's, in this order."""
        transforms, parent = list(request.transforms), request.parent
        while parent:
            parent, more = self._transforms.get(parent, ("", []))
            transforms += more
        transforms += self.stack_transforms
        if not transforms:
            return request
        result, options = Goal(), _Options()
        result.CopyFrom(request)
        result.ClearField("aliases")
        result.ClearField("aliasURNs")
        result.aliases.extend(aliases_of(request))
        _carry(result, options, _names)
        options.ClearField("delete_before_replace")
        if (first := deletes_first(request)) is not None:
            options.delete_before_replace = first
        for key, some in request.propertyDependencies.items() if request.transforms else ():
            if key in result.object.fields and some.urns:
                _depend(result.object.fields[key], some.urns)
        for transform in transforms:
            ask = resource_pb2.TransformRequest(properties=result.object, options=options, custom=request.custom)
            ask.name, ask.type, ask.parent = request.name, request.type, request.parent
            answer = resource_pb2.TransformResponse.FromString(self._invoke(transform, ask))
            if answer.HasField("properties"):
                result.object.CopyFrom(answer.properties)
            if answer.HasField("options"):
                options = answer.options
        if not request.transforms:
            options.depends_on[:] = request.dependencies
        _carry(options, result, _names_back)
        result.deleteBeforeReplaceDefined = options.HasField("delete_before_replace")
        if request.transforms:
            # Its own transforms had the dependencies in hand, with each property: what they left is what counts.
            found: dict[str, set[str]] = {}
            from_struct(result.object, found)
            result.dependencies.extend(set().union(*found.values()) - set(result.dependencies))
            result.ClearField("propertyDependencies")
            for key, urns in found.items():
                result.propertyDependencies[key].urns.extend(sorted(urns))
        return result

    # Hooks

    def run(self, when: str, op: str, old: Resource | None, new: Resource | None) -> None:
        """Hooks ``Before`` or ``After`` a step.  Raises :class:`HookFailed`."""
        call = op.partition("-")[0]  # of a replacement too
        subject = old if call == "delete" else new
        if call not in ("create", "update", "delete") or subject is None:
            return
        moment = when + call.title()
        olds, news = old if call != "create" else None, new if call != "delete" else None
        for name in subject.extra.get("resourceHooks", {}).get(moment, []):
            hook = self.hooks.get(name)
            if hook is None:
                raise HookFailed(f'hook "{name}" was not registered')
            if self._job.options.preview and not hook.on_dry_run:
                continue
            request = resource_pb2.ResourceHookRequest(
                urn=subject.urn, id=subject.id or (olds.id if olds else ""), name=subject.name, type=subject.type,
                new_inputs=to_struct(news.inputs) if news else None,
                old_inputs=to_struct(olds.inputs) if olds else None,
                new_outputs=to_struct(news.outputs) if news and when == "After" else None,
                old_outputs=to_struct(olds.outputs) if olds else None,
            )  # fmt: skip
            response = resource_pb2.ResourceHookResponse.FromString(self._invoke(hook.callback, request))
            if response.error and hook.ignore_errors:
                message = f'{moment} hook "{name}" failed: {response.error}'
                self._job.emit(Diagnostic("warning", message, subject.urn))
            elif response.error:
                raise HookFailed(f'{when.lower()} hook "{name}" failed: {response.error}')


def _carry(source: Any, target: Any, names: dict[str, str]) -> None:
    """Fields from a message to another, where they are called otherwise."""
    for field in names.values():
        target.ClearField(field)
    for field, value in source.ListFields():
        if field.name in names and isinstance(value, (str, bool)):
            setattr(target, names[field.name], value)
        elif field.name in names:
            getattr(target, names[field.name]).MergeFrom(value)


def _depend(value: struct_pb2.Value, urns: Any) -> None:
    """Make the value an output value that depends on ``urns``, which is how a transform sees dependencies."""
    fields = value.struct_value.fields if value.HasField("struct_value") else {}
    secret = signature in fields and fields[signature].string_value == secret_signature
    wrapped = struct_pb2.Value()
    wrapped.struct_value.update({signature: output_signature, "secret": secret, "dependencies": list(urns)})
    if secret or value.string_value != unknown_token:
        wrapped.struct_value.fields["value"].CopyFrom(fields["value"] if secret else value)
    value.CopyFrom(wrapped)
