"""``preview --json``: the whole preview as one document (``display.PreviewDigest``)."""

from __future__ import annotations

import json
from typing import Any, TextIO

from engine.backend import codec
from engine.display import words
from engine.events import Diagnostic, Event, Finished, Started, StepDone, StepFailed, StepStarted, Violation
from engine.model import Resource, Secret, type_stack


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
            elif (step := self._steps.get(f"{event.urn} {event.op}")) and event.new:
                step["newState"] = state(event.new)  # a preview's outputs are known only now
        elif isinstance(event, StepFailed):
            self._diagnostics.append({"urn": event.urn, "message": event.message, "severity": "error"})
        elif isinstance(event, Diagnostic):
            if not event.ephemeral and event.severity != "debug":
                entry = {"urn": event.urn, "message": event.message, "severity": event.severity}
                self._diagnostics.append({key: text for key, text in entry.items() if text})
        elif isinstance(event, Violation):  # the real CLI leaves them out: its preview fails without a word
            severity = "error" if event.level == "mandatory" else "warning"
            message = f"[{event.level}] {event.pack}@v{event.version} {event.policy}: {event.message}"
            self._diagnostics.append({"urn": event.urn, "message": message, "severity": severity})
        elif isinstance(event, Finished):
            self._digest |= {"duration": int(event.seconds * 1e9), "changeSummary": event.changes}

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
    if provider := (new or old or Resource("", "", False)).provider:
        step["provider"] = provider
    if old:
        step["oldState"] = state(old)
    if new:
        step["newState"] = state(new)
    if old and new and event.op != "same":
        keys = [
            key for key in sorted(old.inputs.keys() | new.inputs.keys()) if old.inputs.get(key) != new.inputs.get(key)
        ]
        step["diffReasons"] = [key for key in keys if not key.startswith("__")]
    if replaces:
        step["replaceReasons"] = replaces
    detailed = event.detailed
    step["detailedDiff"] = (
        None if detailed is None else {p: {"kind": k, "inputDiff": False} for p, k in detailed.items()}
    )
    return step


def state(resource: Resource) -> dict[str, Any]:
    """A resource as a checkpoint has it, secrets masked."""
    text = codec.resource_to_json(resource, lambda _, values: codec.dumps(masked(values)))
    document: dict[str, Any] = json.loads(text)
    return document


def masked(values: Any) -> Any:
    """Property values as a checkpoint has them, secrets masked."""
    return codec.encode(_masked(values), _never)


def _masked(value: Any) -> Any:
    if isinstance(value, Secret):
        return "[secret]"
    if isinstance(value, dict):
        return {key: _masked(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return value


def _never(_: str) -> dict[str, Any]:
    raise AssertionError("secrets are masked before they are encoded")
