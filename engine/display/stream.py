"""``--json`` of an operation: its events as they come, one JSON document per line (``apitype.EngineEvent``)."""

from __future__ import annotations

import json
import time
from typing import Any, TextIO

from engine.backend import codec
from engine.display.digest import detailed, differing
from engine.events import (
    Diagnostic,
    Event,
    Finished,
    OutputsRegistered,
    Remediation,
    Started,
    StepDone,
    StepFailed,
    StepStarted,
    Violation,
)
from engine.model import PropertyMap, Resource

_physical = ("delete-replaced", "discard-replaced", "refresh")  # steps that no line of the program stands for


class Stream:
    def __init__(self, out: TextIO) -> None:
        self._out, self._count, self._preview = out, 0, False

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            self._preview = event.preview
            self._say("preludeEvent", {"config": event.config})
        elif isinstance(event, StepStarted):
            metadata = _metadata(event.op, event.urn, event.old, event.new) | _difference(event)
            self._say("resourcePreEvent", {"metadata": metadata, **({"planning": True} if self._preview else {})})
        elif isinstance(event, StepDone):
            metadata = _metadata(event.op, event.urn, event.old, event.new) | _difference(event)
            self._say("resOutputsEvent", {"metadata": metadata})
        elif isinstance(event, OutputsRegistered):
            self._say("resOutputsEvent", {"metadata": _metadata("same", event.urn, event.old, event.new)})
        elif isinstance(event, StepFailed):
            self._diagnose("error", event.message, event.urn)
            if not self._preview:
                failed = {"metadata": _metadata(event.op, event.urn, None, None), "status": 0, "steps": 0}
                self._say("resOpFailedEvent", failed)
        elif isinstance(event, Diagnostic):
            if not event.ephemeral:
                self._diagnose("info#err" if event.severity == "info" else event.severity, event.message, event.urn)
        elif isinstance(event, Violation):
            level = {"enforcementLevel": event.level, **({"severity": event.severity} if event.severity else {})}
            self._say("policyEvent", {**_policy(event), "message": f"{event.message}\n", "color": "never", **level})
        elif isinstance(event, Remediation):
            values = {"before": _blinded(event.before), "after": _blinded(event.after)}
            self._say("policyRemediationEvent", {**_policy(event), "color": "raw", **values})
        elif isinstance(event, Finished):
            summary = {"maybeCorrupt": False, "durationSeconds": int(event.seconds), "resourceChanges": event.changes}
            if event.packs:
                summary["PolicyPacks"] = {f"{name}|local|{path}": version for name, version, path in event.packs}
            ended = {"isPreview": self._preview, "result": "failed" if event.failed else "succeeded"}
            self._say("summaryEvent", summary | ended)
            self._say("cancelEvent", {})

    def close(self) -> None:
        self._out.flush()

    def _diagnose(self, severity: str, message: str, urn: str) -> None:
        place = {"urn": urn} if urn else {}
        content = {"prefix": f"{severity}: ", "message": f"{message}\n", "color": "never", "severity": severity}
        self._say("diagnosticEvent", place | content)

    def _say(self, kind: str, content: dict[str, Any]) -> None:
        line = {"sequence": self._count, "timestamp": int(time.time()), kind: content}
        self._count += 1
        self._out.write(json.dumps(line, separators=(",", ":"), ensure_ascii=False) + "\n")


def _metadata(op: str, urn: str, old: Resource | None, new: Resource | None) -> dict[str, Any]:
    type, provider = urn.split("::")[2].rsplit("$", 1)[-1], (new or old or Resource("", "", False)).provider
    logical = {} if "replacement" in op or op in _physical else {"logical": True}
    states = {"old": _state(old), "new": _state(new)}
    return {"op": op, "urn": urn, "type": type, **states, "detailedDiff": None, **logical, "provider": provider}


def _difference(event: StepStarted | StepDone) -> dict[str, Any]:
    keys = {"keys": event.replaces} if isinstance(event, StepStarted) and event.replaces else {}
    diffs = {"diffs": names} if (names := differing(event.op, event.old, event.new)) else {}
    return {**keys, **diffs, "detailedDiff": detailed(event, "diffKind")}


def _state(resource: Resource | None) -> dict[str, Any] | None:
    """``apitype.StepEventStateMetadata``; what is false or empty is left out, as there."""
    if resource is None:
        return None
    flags = {"custom": resource.custom, "delete": resource.delete, "protect": resource.protect}
    flags |= {"external": resource.external, "retainOnDelete": resource.retain_on_delete}
    return {
        "type": resource.type,
        "urn": resource.urn,
        **{name: True for name, on in flags.items() if on},
        "id": resource.id,
        "parent": resource.parent,
        "inputs": _blinded(resource.inputs),
        "outputs": _blinded(resource.outputs),
        "provider": resource.provider,
        **({"initErrors": resource.init_errors} if resource.init_errors else {}),
    }


def _blinded(values: PropertyMap) -> Any:
    """Property values with secrets marked, and masked."""
    return codec.encode(values, codec.sealed(lambda _: "[secret]"))


def _policy(event: Violation | Remediation) -> dict[str, Any]:
    pack = {"policyPackName": event.pack, "policyPackVersion": event.version, "policyPackVersionTag": event.version}
    return {"resourceUrn": event.urn, "policyName": event.policy, **pack}
