"""One policy pack: the process that runs it, what it says of itself, its settings, its calls."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import grpc
import yaml
from google.protobuf import empty_pb2
from pulumi.runtime.proto import analyzer_pb2, analyzer_pb2_grpc

from engine.deploy.options import Job, PolicyPack
from engine.deploy.policyconfig import initial, levels, problems, read, reconcile
from engine.deploy.process import Server
from engine.deploy.values import to_struct
from engine.provider import ProviderError

severities: Final = ("", "low", "medium", "high", "critical")  # in the order of the protocol's numbers


class Analyzer:
    """The process is started at once; :meth:`load` waits for it and tells it about the stack."""

    def __init__(self, pack: PolicyPack, job: Job, engine: str) -> None:
        self.path = os.path.normpath(pack.path)
        self._settings_file, self._job, self._engine = pack.config, job, engine
        self._directory = str(Path(pack.path).resolve())
        self._given_version, options = _project(self.path)
        self.name, self.version = self.path, ""
        virtualenv = options.get("virtualenv")
        python = Path(self._directory, str(virtualenv), "bin/python") if virtualenv else job.program.python
        if not python.exists():
            raise ProviderError(
                f"{self.path}/PulumiPolicy.yaml: the virtualenv '{virtualenv}' has no {python}: create it"
            )
        dry_run = {"PULUMI_DRY_RUN": str(job.options.preview).lower()}
        what, command = f"the policy pack '{self.path}'", ["pulumi.policy", engine, self._directory]
        self._server = Server(what, job, command, python, Path(self._directory), dry_run)

    def load(self) -> list[str]:
        """Gives what is wrong with the pack's settings, which it gets when nothing is.  Raises ProviderError."""
        settings = read(self._settings_file) if self._settings_file else {}
        place = {"root_directory": self._directory, "program_directory": self._directory}
        handshake = analyzer_pb2.AnalyzerHandshakeRequest(engine_address=self._engine, **place)
        self._call("Handshake", handshake, optional=True)
        about = analyzer_pb2.AnalyzerStackConfigureRequest(
            **self._job.names,
            dry_run=self._job.options.preview,
            config=self._job.plain_config,
            config_secret_keys=self._job.secret_keys,
        )
        self._call("ConfigureStack", about, optional=True)
        info = self._call("GetAnalyzerInfo", empty_pb2.Empty())
        self.name, self.version = info.name, self._given_version or info.version
        policies = sorted(info.policies, key=lambda policy: str(policy.name))
        self._severities = {policy.name: severities[policy.severity] for policy in policies}
        if not info.supportsConfig:
            if self._settings_file:
                raise ProviderError(f'policy pack "{self.name}" at "{self.path}" does not support config')
            return []
        merged = reconcile(policies, initial(info.initialConfig), settings)
        if unknown := [name for name, setting in merged.items() if not setting.level]:
            raise ProviderError(
                f'configuring policy pack "{self.name}" at "{self.path}": it has no policy {", ".join(unknown)}, only '
                + ", ".join(policy.name for policy in policies)
            )
        if found := problems(policies, merged):
            return [f"validating policy config: {self.name} {self.version}  {text}" for text in found]
        request = analyzer_pb2.ConfigureAnalyzerRequest()
        for name, setting in merged.items():
            request.policyConfig[name].enforcementLevel = levels.index(setting.level)  # type: ignore[assignment]
            request.policyConfig[name].properties.CopyFrom(to_struct(setting.properties))
        self._call("Configure", request)
        return []

    def remediate(self, request: Any) -> list[Any]:
        reply = self._call("Remediate", request, optional=True)
        return [] if reply is None else list(reply.remediations)

    def analyze(self, request: Any) -> list[Any]:
        return list(self._call("Analyze", request).diagnostics)

    def analyze_stack(self, resources: list[Any]) -> list[Any]:
        reply = self._call("AnalyzeStack", analyzer_pb2.AnalyzeStackRequest(resources=resources), optional=True)
        return [] if reply is None else list(reply.diagnostics)

    def severity(self, diagnostic: Any) -> str:
        """A violation's own severity, else its policy's."""
        return severities[diagnostic.severity] or self._severities.get(diagnostic.policyName, "")

    def _call(self, method: str, request: Any, *, optional: bool = False) -> Any:
        try:
            return getattr(self._server.stub(analyzer_pb2_grpc.AnalyzerStub), method)(request)
        except grpc.RpcError as error:
            if optional and error.code() == grpc.StatusCode.UNIMPLEMENTED:
                return None
            name = f"policy pack '{self.name}'"
            if error.code() == grpc.StatusCode.UNAVAILABLE:
                raise ProviderError(f"failed to run policy: the {name} ({self.path}) has ended unexpectedly") from error
            details = (error.details() or str(error.code())).removeprefix("Exception calling application: ")
            raise ProviderError(f"failed to run policy: {name} ({self.path}), {method}: {details}") from error

    def close(self) -> None:
        self._server.close()


def _project(path: str) -> tuple[str, dict[str, Any]]:
    """Version and options of the runtime in ``PulumiPolicy.yaml``.  Raises ProviderError."""
    file = Path(path) / "PulumiPolicy.yaml"
    try:
        data = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, yaml.YAMLError) as error:
        raise ProviderError(f"failed to load the policy pack's project file {file}: {error}") from error
    runtime = data.get("runtime") if isinstance(data, dict) else None
    name, options = (runtime.get("name"), runtime.get("options")) if isinstance(runtime, dict) else (runtime, {})
    if name != "python":
        raise ProviderError(f"{file}: runtime {name!r} is not supported: the embedded engine runs 'python' only")
    return str(data.get("version") or ""), options or {}
