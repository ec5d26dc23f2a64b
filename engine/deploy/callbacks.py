"""Functions of the program that the engine calls: transforms of what it registers, and hooks around steps.

The program serves them (``pulumirpc.Callbacks``) until the engine tells it that nothing more is needed.
"""

from __future__ import annotations

import threading
from typing import Any, Final

import grpc
from google.protobuf import struct_pb2
from pulumi.runtime.proto import callback_pb2, callback_pb2_grpc, resource_pb2

from engine.deploy.goals import Goal, aliases_of, deletes_first
from engine.deploy.options import Job
from engine.deploy.process import channel_options
from engine.deploy.values import from_struct, output_signature, secret_signature, signature, to_struct, unknown_token
from engine.events import Diagnostic
from engine.model import Resource

_Options: Final = resource_pb2.TransformResourceOptions
# A registration's options as a transform sees them: by their names there, those in the request.
_names: Final = {field.camelcase_name: field.name for field in _Options.DESCRIPTOR.fields} | {
    "dependencies": "depends_on",
    "pluginDownloadURL": "plugin_download_url",
    "importId": "import",
    "hideDiffs": "hide_diff",
    "replace_with": "replace_with",
    "replacement_trigger": "replacement_trigger",
}
_options: Final = [(field.name, _names[field.name]) for field in Goal.DESCRIPTOR.fields if field.name in _names]
_moments: Final = {
    "create": "Create",
    "create-replacement": "Create",
    "update": "Update",
    "delete": "Delete",
    "delete-replaced": "Delete",
}


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
        for theirs, ours in _options:
            _copy(result, theirs, options, ours)
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
        for theirs, ours in _options:
            if theirs != "dependencies" or request.transforms:
                _copy(options, ours, result, theirs)
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
        subject = old if op.startswith("delete") else new
        if op not in _moments or subject is None:
            return
        moment = when + _moments[op]
        olds = old if "Create" not in moment else None
        news = new if "Delete" not in moment else None
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


def _copy(source: Any, name: str, target: Any, as_name: str) -> None:
    """One field from a message to another, where it may be called otherwise."""
    field = source.DESCRIPTOR.fields_by_name[name]
    target.ClearField(as_name)
    if field.label == field.LABEL_REPEATED:
        getattr(target, as_name).MergeFrom(getattr(source, name))
    elif field.has_presence and not source.HasField(name):
        return
    elif field.message_type is not None:
        getattr(target, as_name).CopyFrom(getattr(source, name))
    else:
        setattr(target, as_name, getattr(source, name))


def _depend(value: struct_pb2.Value, urns: Any) -> None:
    """Make the value an output value that depends on ``urns``, which is how a transform sees dependencies."""
    fields = value.struct_value.fields if value.HasField("struct_value") else {}
    kind = fields[signature].string_value if signature in fields else ""
    wrapped = struct_pb2.Value()
    wrapped.struct_value.fields[signature].string_value = output_signature
    if kind == secret_signature:
        wrapped.struct_value.fields["secret"].bool_value = True
        wrapped.struct_value.fields["value"].CopyFrom(fields["value"])
    elif value.string_value != unknown_token:
        wrapped.struct_value.fields["value"].CopyFrom(value)
    for urn in urns:
        wrapped.struct_value.fields["dependencies"].list_value.values.add(string_value=urn)
    value.CopyFrom(wrapped)
