# ruff: noqa: N802 - the methods are named by the protocol
"""The gRPC services that the program (and its providers) talk to: ResourceMonitor and Engine."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Literal

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, resource_pb2, resource_pb2_grpc

from engine.deploy.execute import Executor, Stopped
from engine.deploy.goals import Unsupported, goal_of_read
from engine.deploy.identity import Problem
from engine.deploy.options import Job
from engine.deploy.plugins import Providers, package_of
from engine.deploy.process import channel_options
from engine.deploy.steps import Generator
from engine.deploy.values import from_struct, to_struct
from engine.events import Diagnostic, Emit, OutputsRegistered
from engine.model import PropertyMap, type_stack

# Only what is implemented: the SDK refuses by name what a program wants beyond it.
features: Final = {
    "secrets": resource_pb2.RESOURCE_MONITOR_FEATURE_SECRETS,
    "resourceReferences": resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_REFERENCES,
    "outputValues": resource_pb2.RESOURCE_MONITOR_FEATURE_OUTPUT_VALUES,
    "aliasSpecs": resource_pb2.RESOURCE_MONITOR_FEATURE_ALIAS_SPECS,
    "deletedWith": resource_pb2.RESOURCE_MONITOR_FEATURE_DELETED_WITH,
    "transforms": resource_pb2.RESOURCE_MONITOR_FEATURE_TRANSFORMS,
    "resourceHooks": resource_pb2.RESOURCE_MONITOR_FEATURE_RESOURCE_HOOKS,
}
_refused: Final = {
    "Call": "calling the method {0.tok}",
    "RegisterStackInvokeTransform": "an invoke transform",
    "RegisterErrorHook": "the error hook '{0.name}'",
    "RegisterPackage": "the parameterized package '{0.name}'",
}
_severities: Final[tuple[Literal["debug", "info", "warning", "error"], ...]] = ("debug", "info", "warning", "error")


def _guarded(what: str) -> Callable[[Callable[[Any, Any], Any]], Callable[[Any, Any, Any], Any]]:
    """A method of the protocol whose failures end the operation; ``what``, given the request, is what failed."""

    def decorate(method: Callable[[Any, Any], Any]) -> Callable[[Any, Any, Any], Any]:
        @functools.wraps(method)
        def call(monitor: Monitor, request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return method(monitor, request)
            except Stopped:
                pass
            except Problem as error:
                # Once the operation has ended its providers are closed: what a held call meets then is no failure.
                if not monitor.release.is_set():
                    monitor.executor.fail(str(error), error.urn)
            except Exception as error:  # noqa: BLE001
                # Nothing may be lost between here and the program: whatever went wrong ends the operation by name.
                if not monitor.release.is_set():
                    monitor.executor.fail(f"{what.format(request)}: {str(error) or type(error).__name__}")
            monitor.release.wait()
            return context.abort(grpc.StatusCode.UNAVAILABLE, "the operation has ended")  # raises

        return call

    return decorate


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Each call runs on a thread of its own until its step is done.

    When the operation is stopping, calls are held until ``release`` (the program has been ended by then):
    an answer would only make the program complain about an engine that is going away.
    """

    def __init__(self, job: Job, generator: Generator, executor: Executor, providers: Providers) -> None:
        self._job, self._generator, self.executor, self._providers = job, generator, executor, providers
        self._callbacks = executor.callbacks
        self.program_done: Callable[[], None] = lambda: None
        self.stack_outputs: PropertyMap | None = None
        self.release = threading.Event()

    def GetDeploymentInfo(self, request: Any, context: grpc.ServicerContext) -> resource_pb2.DeploymentInfo:
        return resource_pb2.DeploymentInfo(
            **self._job.names,
            config=self._job.plain_config,
            configSecretKeys=self._job.secret_keys,
            dryRun=self._job.options.preview,
            parallel=self._job.options.parallel,
            supportedFeatures=list(features.values()),
        )

    def SupportsFeature(self, request: Any, context: grpc.ServicerContext) -> resource_pb2.SupportsFeatureResponse:
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in features)

    @_guarded("{0.type} '{0.name}'")
    def RegisterResource(self, request: Any) -> resource_pb2.RegisterResourceResponse:
        answer = self._generator.register(self._callbacks.transformed(request))
        self._callbacks.remember(answer.urn, request)
        return answer

    @_guarded("{0.type} '{0.name}'")
    def ReadResource(self, request: Any) -> resource_pb2.ReadResourceResponse:
        answer = self._generator.read(goal_of_read(request), request.id)
        return resource_pb2.ReadResourceResponse(urn=answer.urn, properties=answer.object)

    @_guarded("outputs of {0.urn}")
    def RegisterResourceOutputs(self, request: Any) -> empty_pb2.Empty:
        outputs = from_struct(request.outputs)
        if request.urn.split("::")[2] == type_stack:
            self.stack_outputs = outputs  # taken over in the end, when it is known how the operation went
        else:
            self.set_outputs(request.urn, outputs)
        return empty_pb2.Empty()

    def set_outputs(self, urn: str, outputs: PropertyMap) -> None:
        """Take over a component's outputs."""
        state = self.executor.state
        with state.lock:
            new = self.executor.news.get(urn)
            if new is None:
                raise Problem(f"outputs were registered for {urn}, which was not", urn)
            if urn in self._generator.scope.skipped:
                return
            old = state.olds.get(urn)
            self._generator.planner.outputs(urn, old.outputs if old else {}, outputs)
            new.outputs = outputs
            state.changed(new)
        if old is not None and old.outputs == outputs:
            state.touch()
        else:
            state.commit()
        if step := self.executor.components.get(urn):
            self.executor.after(step)
        self.executor.emit(OutputsRegistered(urn, old, new))

    @_guarded("function {0.tok}")
    def Invoke(self, request: Any) -> resource_pb2.ResourceInvokeResponse:
        if request.packageRef:
            raise Unsupported("parameterized packages are not implemented by the embedded engine")
        reference = request.provider or self._generator.provider_reference(package_of(request.tok), request.version)
        result = self._providers.get(reference).invoke(request.tok, from_struct(request.args))
        response = resource_pb2.ResourceInvokeResponse()
        getattr(response, "return").CopyFrom(to_struct(result))  # a keyword in Python
        return response

    def SignalAndWaitForShutdown(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        if self._callbacks.hooks:  # those around deletions are still to come
            self.program_done()
            self.release.wait()
        return empty_pb2.Empty()

    def RegisterStackTransform(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self._callbacks.stack_transforms.append(request)
        return empty_pb2.Empty()

    def RegisterResourceHook(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self._callbacks.hooks[request.name] = request
        return empty_pb2.Empty()


def _refusal(what: str) -> Callable[[Any, Any, Any], Any]:
    @_guarded("")
    def refuse(monitor: Monitor, request: Any) -> Any:
        used = what.format(request)
        raise Problem(f"The program uses {used}, which the embedded engine does not implement. Use the Pulumi CLI.")

    return refuse


for _method, _what in _refused.items():
    setattr(Monitor, _method, _refusal(_what))


class Engine(engine_pb2_grpc.EngineServicer):
    """Messages of the program and the providers."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit

    def Log(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        self._emit(Diagnostic(_severities[request.severity], request.message, request.urn, request.ephemeral))
        return empty_pb2.Empty()

    def RequirePulumiVersion(self, request: Any, context: grpc.ServicerContext) -> Any:
        # The range speaks of the CLI; what a program needs of it is refused by name where it is missing.
        return engine_pb2.RequirePulumiVersionResponse()


def serve(monitor: Monitor, engine: Engine, parallel: int) -> tuple[grpc.Server, str]:
    """Serve both on a free port of the loopback interface; gives the server and its address."""
    # The program may have four calls per step under way (as in its launcher), besides messages.
    pool = ThreadPoolExecutor(max_workers=max(parallel, 1) * 4 + 16, thread_name_prefix="monitor")
    server = grpc.server(pool, options=channel_options)
    resource_pb2_grpc.add_ResourceMonitorServicer_to_server(monitor, server)
    engine_pb2_grpc.add_EngineServicer_to_server(engine, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    return server, f"127.0.0.1:{port}"
