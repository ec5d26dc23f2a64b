# ruff: noqa: N802 - the methods are named by the protocol
"""The gRPC services that the program (and its providers) talk to: ResourceMonitor and Engine."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Literal, TypeVar

import grpc
from google.protobuf import empty_pb2
from pulumi.runtime.proto import engine_pb2, engine_pb2_grpc, resource_pb2, resource_pb2_grpc

from engine.deploy.execute import Executor, Stopped
from engine.deploy.goals import Goal, Unsupported, goal_of, position
from engine.deploy.identity import Problem
from engine.deploy.language import channel_options
from engine.deploy.options import Options, Program
from engine.deploy.plugins import Providers, package_of
from engine.deploy.steps import Generator
from engine.deploy.values import from_struct, plain, to_struct
from engine.events import Diagnostic, Emit, OutputsRegistered
from engine.model import PropertyMap, Secret, type_stack

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
severities: Final[dict[int, Literal["debug", "info", "warning", "error"]]] = {
    engine_pb2.DEBUG: "debug",
    engine_pb2.INFO: "info",
    engine_pb2.WARNING: "warning",
    engine_pb2.ERROR: "error",
}
Result = TypeVar("Result")


class Monitor(resource_pb2_grpc.ResourceMonitorServicer):
    """Each call runs on a thread of its own until its step is done.

    When the operation is stopping, calls are held until ``release`` (the program has been ended by then):
    an answer would only make the program complain about an engine that is going away.
    """

    def __init__(
        self,
        program: Program,
        config: dict[str, str | Secret],
        options: Options,
        generator: Generator,
        executor: Executor,
        providers: Providers,
    ) -> None:
        self._program, self._config, self._options = program, config, options
        self._generator, self._executor, self._providers = generator, executor, providers
        self._callbacks = executor.callbacks
        self.program_done: Callable[[], None] = lambda: None
        self.stack_outputs: PropertyMap | None = None
        self.release = threading.Event()

    def _guarded(self, context: grpc.ServicerContext, work: Callable[[], Result], what: str = "") -> Result:
        try:
            return work()
        except Stopped:
            pass
        except Problem as error:
            self._executor.fail(str(error), error.urn)
        except Exception as error:  # noqa: BLE001
            # Nothing may be lost between here and the program: whatever went wrong ends the operation by name.
            self._executor.fail(f"{what}: {error}" if str(error) else f"{what}: {type(error).__name__}")
        self.release.wait()
        context.abort(grpc.StatusCode.UNAVAILABLE, "the operation has ended")
        raise AssertionError("abort raises")

    def GetDeploymentInfo(self, request: Any, context: grpc.ServicerContext) -> resource_pb2.DeploymentInfo:
        return resource_pb2.DeploymentInfo(
            project=self._program.project,
            stack=self._program.stack,
            organization=self._program.organization,
            config={key: plain(value) for key, value in self._config.items()},
            configSecretKeys=[key for key, value in self._config.items() if isinstance(value, Secret)],
            dryRun=self._options.preview,
            parallel=self._options.parallel,
            supportedFeatures=list(features.values()),
        )

    def SupportsFeature(self, request: Any, context: grpc.ServicerContext) -> resource_pb2.SupportsFeatureResponse:
        return resource_pb2.SupportsFeatureResponse(hasSupport=request.id in features)

    def RegisterResource(self, request: Any, context: grpc.ServicerContext) -> resource_pb2.RegisterResourceResponse:
        def work() -> resource_pb2.RegisterResourceResponse:
            wanted = self._callbacks.transformed(request)
            answer = self._generator.register(goal_of(wanted, str(self._program.root)))
            self._callbacks.remember(answer.urn, request)
            struct = to_struct(answer.outputs)
            return resource_pb2.RegisterResourceResponse(
                urn=answer.urn, id=answer.id, object=struct, unknown=answer.unknown
            )

        return self._guarded(context, work, f"{request.type} '{request.name}'")

    def ReadResource(self, request: Any, context: grpc.ServicerContext) -> resource_pb2.ReadResourceResponse:
        def work() -> resource_pb2.ReadResourceResponse:
            if request.packageRef:
                raise Unsupported("parameterized packages are not implemented by the embedded engine")
            goal = Goal(
                type=request.type,
                name=request.name,
                custom=True,
                properties=from_struct(request.properties),
                parent=request.parent,
                provider=request.provider,
                version=request.version,
                dependencies=sorted(request.dependencies),
                additional_secret_outputs=list(request.additionalSecretOutputs),
                source_position=position(request, str(self._program.root)),
            )
            answer = self._generator.read(goal, request.id)
            return resource_pb2.ReadResourceResponse(urn=answer.urn, properties=to_struct(answer.outputs))

        return self._guarded(context, work, f"{request.type} '{request.name}'")

    def RegisterResourceOutputs(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        def work() -> empty_pb2.Empty:
            outputs = from_struct(request.outputs)
            if request.urn.split("::")[2] == type_stack:
                self.stack_outputs = outputs  # taken over in the end, when it is known how the operation went
            else:
                self.set_outputs(request.urn, outputs)
            return empty_pb2.Empty()

        return self._guarded(context, work, f"outputs of {request.urn}")

    def set_outputs(self, urn: str, outputs: PropertyMap) -> None:
        """Take over a component's outputs."""
        state = self._executor.state
        with state.lock:
            new = self._executor.news.get(urn)
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
        if step := self._executor.components.get(urn):
            self._executor.after(step)
        self._executor.emit(OutputsRegistered(urn, old, new))

    def Invoke(self, request: Any, context: grpc.ServicerContext) -> Any:
        def work() -> Any:
            if request.packageRef:
                raise Unsupported("parameterized packages are not implemented by the embedded engine")
            package = package_of(request.tok)
            reference = request.provider or self._generator.provider_reference(package, request.version)
            result = self._providers.get(reference).invoke(request.tok, from_struct(request.args))
            response = resource_pb2.ResourceInvokeResponse()
            getattr(response, "return").CopyFrom(to_struct(result))  # a keyword in Python
            return response

        return self._guarded(context, work, f"function {request.tok}")

    def SignalAndWaitForShutdown(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        if self._callbacks.hooks:  # those around deletions are still to come
            self.program_done()
            self.release.wait()
        return empty_pb2.Empty()

    def Call(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._refused(context, f"calling the method {request.tok}")

    def RegisterStackTransform(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._callbacks.stack_transforms.append(request)
        return empty_pb2.Empty()

    def RegisterStackInvokeTransform(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._refused(context, "an invoke transform")

    def RegisterResourceHook(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._callbacks.hooks[request.name] = request
        return empty_pb2.Empty()

    def RegisterErrorHook(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._refused(context, f"the error hook '{request.name}'")

    def RegisterPackage(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._refused(context, f"the parameterized package '{request.name}'")

    def _refused(self, context: grpc.ServicerContext, what: str) -> Any:
        def work() -> Any:
            raise Problem(f"The program uses {what}, which the embedded engine does not implement. Use the Pulumi CLI.")

        return self._guarded(context, work)


class Engine(engine_pb2_grpc.EngineServicer):
    """Messages of the program and the providers."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._root = ""

    def Log(self, request: Any, context: grpc.ServicerContext) -> empty_pb2.Empty:
        severity = severities.get(request.severity, "info")
        self._emit(Diagnostic(severity, request.message, request.urn, request.ephemeral))
        return empty_pb2.Empty()

    def GetRootResource(self, request: Any, context: grpc.ServicerContext) -> engine_pb2.GetRootResourceResponse:
        return engine_pb2.GetRootResourceResponse(urn=self._root)

    def SetRootResource(self, request: Any, context: grpc.ServicerContext) -> engine_pb2.SetRootResourceResponse:
        self._root = request.urn
        return engine_pb2.SetRootResourceResponse()

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
