"""``preview --json``: the whole preview as one document (``display.PreviewDigest``)."""

from __future__ import annotations

import json
from typing import Any, TextIO

from engine.backend import codec
from engine.display import words
from engine.events import Diagnostic, Event, Finished, Started, StepDone, StepFailed, StepStarted, Violation
from engine.model import Resource, type_stack


class Digest:
    """Nothing is printed before the end, so that standard output is one JSON document."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._digest: dict[str, Any] = {}
        self._steps: dict[str, dict[str, Any]] = {}  # by URN and operation: a replacement has three steps
        self._diagnostics: list[dict[str, str]] = []
        self._refreshing: set[str] = set()

    def __call__(self, event: Event) -> None:
        if isinstance(event, Started):
            self._digest["config"] = event.config
        elif isinstance(event, StepStarted):
            if event.op == "refresh":
                self._refreshing.add(event.urn)
            elif _worth_showing(event):
                self._steps[f"{event.urn} {event.op}"] = _step(event, event.replaces)
        elif isinstance(event, StepDone):
            if event.urn in self._refreshing:
                self._refreshing.discard(event.urn)
                if event.op in ("update", "delete"):
                    self._steps[f"{event.urn} refresh"] = _step(event, [])
        elif isinstance(event, StepFailed):
            self._diagnose(event.urn, "error", event.message)
        elif isinstance(event, Diagnostic):
            if not event.ephemeral and event.severity != "debug":
                self._diagnose(event.urn, event.severity, event.message)
        elif isinstance(event, Violation):  # the real CLI leaves them out: its preview fails without a word
            severity = "error" if event.level == "mandatory" else "warning"
            message = f"[{event.level}] {event.pack}@v{event.version} {event.policy}: {event.message}"
            self._diagnose(event.urn, severity, message)
        elif isinstance(event, Finished):
            self._digest |= {"duration": int(event.seconds * 1e9), "changeSummary": event.changes}

    def _diagnose(self, urn: str, severity: str, message: str) -> None:
        prefix = "" if severity == "info" else f"{severity}: "
        place = {"urn": urn} if urn else {}
        self._diagnostics.append({**place, "message": f"{prefix}{message}\n", "severity": severity})

    def close(self) -> None:
        document = {
            "config": self._digest.get("config") or None,
            "steps": list(self._steps.values()) or None,
            "diagnostics": self._diagnostics or None,
            "duration": self._digest.get("duration"),
            "changeSummary": self._digest.get("changeSummary"),
        }
        present = {key: value for key, value in document.items() if value is not None}
        self._out.write(json.dumps(present, indent=4, ensure_ascii=False) + "\n")
        self._out.flush()


def _worth_showing(event: StepStarted) -> bool:
    resource = event.new or event.old
    return event.op not in words.quiet or (resource is not None and resource.type == type_stack)


def _step(event: StepStarted | StepDone, replaces: list[str]) -> dict[str, Any]:
    old, new = event.old, event.new
    step: dict[str, Any] = {"op": event.op, "urn": event.urn}
    if provider := (new or old or _nothing).provider:
        step["provider"] = provider
    if old:
        step["oldState"] = state(old)
    if new:
        step["newState"] = state(new)
    if reasons := differing(event.op, old, new):
        step["diffReasons"] = reasons
    if replaces:
        step["replaceReasons"] = replaces
    step["detailedDiff"] = detailed(event, "kind")
    return step


def differing(op: str, old: Resource | None, new: Resource | None) -> list[str]:
    """Names of the inputs that differ."""
    if old is None or new is None or op == "same":
        return []
    keys = sorted(old.inputs.keys() | new.inputs.keys())
    return [key for key in keys if not key.startswith("__") and old.inputs.get(key) != new.inputs.get(key)]


def detailed(event: StepStarted | StepDone, kind: str) -> dict[str, Any] | None:
    """``detailedDiff``: by path; ``kind`` is what the kind is called there."""
    if event.detailed is None:
        return None
    # A diff that the engine made itself compares inputs; the Docker provider's compares with what is there.
    inputs = "::pulumi:providers:docker::" not in (event.new or event.old or _nothing).provider
    return {path: {kind: each, "inputDiff": inputs} for path, each in event.detailed.items()}


def state(resource: Resource) -> dict[str, Any]:
    """A resource as a checkpoint has it, secrets masked."""
    text = codec.resource_to_json(resource, lambda _, values: codec.dumps(codec.encode(values)))
    document: dict[str, Any] = json.loads(text)
    return document


_nothing = Resource("", "", False)
