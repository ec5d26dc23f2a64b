"""``--json``: a preview as one document, the other operations as one event per line, in the shapes of Pulumi's CLI."""

from __future__ import annotations

import json
import time
from typing import Any, TextIO

from engine import events
from engine.backend import codec
from engine.display.diff import worth_showing
from engine.display.values import changes, items
from engine.events import Event, Remediation, Step, StepDone, StepStarted, Violation
from engine.model import PropertyMap, Resource

_physical = ("delete-replaced", "discard-replaced", "refresh")  # steps that no line of the program stands for


class Digest:
    """``display.PreviewDigest``.  Nothing is printed before the end: standard output is one document."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._digest: dict[str, Any] = {"config": None, "steps": None, "diagnostics": None}
        self._steps: dict[tuple[str, str, type[Step]], dict[str, Any]] = {}  # a replacement has three of one URN
        self._diagnostics: list[dict[str, Any]] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, events.Started):
            self._digest["config"] = event.config
        elif worth_showing(event):
            self._steps[event.urn, event.op, type(event)] = _step(event)
        elif isinstance(event, events.StepFailed):
            self._diagnose(event.urn, "error", event.message)
        elif isinstance(event, events.Diagnostic) and not event.ephemeral and event.severity != "debug":
            self._diagnose(event.urn, event.severity, event.message)
        elif isinstance(event, Violation):  # the real CLI leaves them out: its preview fails without a word
            severity = "error" if event.level == "mandatory" else "warning"
            message = f"[{event.level}] {event.pack}@v{event.version} {event.policy}: {event.message}"
            self._diagnose(event.urn, severity, message)
        elif isinstance(event, events.Finished):
            self._digest |= {"duration": int(event.seconds * 1e9), "changeSummary": event.changes}

    def _diagnose(self, urn: str, severity: str, message: str) -> None:
        prefix = "" if severity == "info" else f"{severity}: "
        self._diagnostics.append({**_given(urn=urn), "message": f"{prefix}{message}\n", "severity": severity})

    def close(self) -> None:
        self._digest |= {"steps": list(self._steps.values()), "diagnostics": self._diagnostics}
        present = {key: value for key, value in self._digest.items() if value or key in ("duration", "changeSummary")}
        self._out.write(json.dumps(present, indent=4, ensure_ascii=False) + "\n")
        self._out.flush()


class Stream:
    """``apitype.EngineEvent``."""

    def __init__(self, out: TextIO) -> None:
        self._out, self._count, self._preview = out, 0, False

    def __call__(self, event: Event) -> None:
        match event:
            case events.Started():
                self._preview = event.preview
                self._say("preludeEvent", {"config": event.config})
            case events.StepStarted():
                self._say("resourcePreEvent", {"metadata": _metadata(event), **_given(planning=self._preview)})
            case events.StepDone():
                self._say("resOutputsEvent", {"metadata": _metadata(event)})
            case events.OutputsRegistered():
                self._say("resOutputsEvent", {"metadata": _metadata(Step(event.urn, "same", event.old, event.new))})
            case events.StepFailed():
                self._diagnose("error", event.message, event.urn)
                if not self._preview:
                    failed = {"metadata": _metadata(Step(event.urn, event.op, None, None)), "status": 0, "steps": 0}
                    self._say("resOpFailedEvent", failed)
            case events.Diagnostic() if not event.ephemeral:
                self._diagnose("info#err" if event.severity == "info" else event.severity, event.message, event.urn)
            case events.Violation():
                said = {"message": f"{event.message}\n", "color": "never", "enforcementLevel": event.level}
                self._say("policyEvent", _policy(event) | said | _given(severity=event.severity))
            case events.Remediation():
                values = {"before": _blinded(event.before), "after": _blinded(event.after)}
                self._say("policyRemediationEvent", {**_policy(event), "color": "raw", **values})
            case events.Finished():
                packs = {f"{name}|local|{path}": version for name, version, path in event.packs}
                ended = {"maybeCorrupt": False, "isPreview": self._preview, "durationSeconds": int(event.seconds)}
                counts = {"resourceChanges": event.changes, "result": "failed" if event.failed else "succeeded"}
                self._say("summaryEvent", {**ended, **counts, **_given(PolicyPacks=packs)})
                self._say("cancelEvent", {})

    def close(self) -> None:
        self._out.flush()

    def _diagnose(self, severity: str, message: str, urn: str) -> None:
        content = {"prefix": f"{severity}: ", "message": f"{message}\n", "color": "never", "severity": severity}
        self._say("diagnosticEvent", _given(urn=urn) | content)

    def _say(self, kind: str, content: dict[str, Any]) -> None:
        line = {"sequence": self._count, "timestamp": int(time.time()), kind: content}
        self._count += 1
        self._out.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")


def _given(**values: Any) -> dict[str, Any]:
    """Those that are not empty: there the others are left out."""
    return {name: value for name, value in values.items() if value}


def _step(step: StepStarted | StepDone) -> dict[str, Any]:
    """``display.PreviewStep``."""
    old, new = (codec.encode(codec.fields(each)) if each else None for each in (step.old, step.new))
    return {
        "op": step.op,
        "urn": step.urn,
        **_given(provider=step.resource.provider, oldState=old, newState=new),
        **_given(diffReasons=_differing(step), replaceReasons=_reasons(step)),
        "detailedDiff": _detailed(step, "kind"),
    }


def _metadata(step: Step) -> dict[str, Any]:
    """``apitype.StepEventMetadata``."""
    logical = "replacement" not in step.op and step.op not in _physical
    return {
        "op": step.op,
        "urn": step.urn,
        "type": step.urn.split("::")[2].rsplit("$", 1)[-1],
        "old": _state(step.old),
        "new": _state(step.new),
        **_given(keys=_reasons(step), diffs=_differing(step), logical=logical),
        "detailedDiff": _detailed(step, "diffKind"),
        "provider": step.resource.provider,
    }


def _reasons(step: Step) -> list[str]:
    return step.replaces if isinstance(step, StepStarted) else []


def _differing(step: Step) -> list[str]:
    """Names of the inputs that differ."""
    if step.old is None or step.new is None or step.op == "same":
        return []
    return list(changes(items(step.old.inputs), items(step.new.inputs)))


def _detailed(step: Step, kind: str) -> dict[str, Any] | None:
    """``detailedDiff``: by path; ``kind`` is what the kind is called there."""
    if not isinstance(step, StepStarted | StepDone) or step.detailed is None:
        return None
    # A diff that the engine made itself compares inputs; the Docker provider's compares with what is there.
    inputs = "::pulumi:providers:docker::" not in step.resource.provider
    return {path: {kind: each, "inputDiff": inputs} for path, each in step.detailed.items()}


def _state(resource: Resource | None) -> dict[str, Any] | None:
    """``apitype.StepEventStateMetadata``; what is false or empty is left out, as there, but for these five."""
    if resource is None:
        return None
    always = {"id": "", "parent": "", "inputs": {}, "outputs": {}, "provider": ""}
    also = ("type", "urn", "custom", "delete", "protect", "external", "retainOnDelete", "initErrors")
    shown = {name: value for name, value in codec.fields(resource).items() if name in always or name in also}
    return always | {name: value for name, value in _blinded(shown).items() if value}


def _blinded(values: PropertyMap) -> PropertyMap:
    """Property values with secrets marked, and masked."""
    blinded: PropertyMap = codec.encode(values, codec.sealed(lambda _: "[secret]"))
    return blinded


def _policy(event: Violation | Remediation) -> dict[str, Any]:
    pack = {"policyPackName": event.pack, "policyPackVersion": event.version, "policyPackVersionTag": event.version}
    return {"resourceUrn": event.urn, "policyName": event.policy, **pack}
