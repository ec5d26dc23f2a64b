"""A story to tell: what an operation with everything in it reports."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from engine.events import Diagnostic, Event, Finished, OutputsRegistered, Started, StepDone, StepFailed, StepStarted
from engine.model import Resource, Secret

_prefix = "urn:pulumi:dev::berth::"


def _resource(type: str, name: str, parent: str = "", /, **inputs: object) -> Resource:
    return Resource(f"{_prefix}{type}::{name}", type, True, id=f"id-{name}", parent=parent, inputs=dict(inputs))


@pytest.fixture
def story() -> Callable[[bool], list[Event]]:
    """The events of a preview (True) or an update: a creation, an update, a replacement, a failure, a deletion."""

    def tell(preview: bool) -> list[Event]:
        stack = Resource(f"{_prefix}pulumi:pulumi:Stack::berth-dev", "pulumi:pulumi:Stack", False)
        stack.outputs = {"url": "http://localhost", "token": Secret("hush")}
        plane = _resource("berth:platform:Network", "plane", stack.urn)
        plane.custom, plane.id = False, ""
        network = _resource(
            "docker:index/network:Network", "inside", plane.urn, name="berth-dev", password=Secret("hush")
        )
        list_type = "pulumi-python:dynamic/berth:AccessList"
        before = _resource(list_type, "list", stack.urn, entries={"1": {"owner": "0x1"}, "2": {"owner": "0x2"}})
        after = _resource(list_type, "list", stack.urn, entries={"1": {"owner": "0x1"}, "3": {"owner": "0x3"}})
        one, two = _resource("a:b/c:C", "node", stack.urn, kind="x"), _resource("a:b/c:C", "node", stack.urn, kind="y")
        old = _resource("a:b/c:C", "gone", stack.urn)
        same = _resource("a:b/c:C", "same", stack.urn)
        events: list[Event] = [
            Started(
                "preview" if preview else "update", "dev", "berth", preview, {"berth:key": "[secret]", "berth:a": "1"}
            ),
            StepStarted(stack.urn, "same", stack, stack),
            StepDone(stack.urn, "same", stack, stack, 0.0),
            Diagnostic("info", "Reading block 12\n", stack.urn, stream="stdout"),
            StepStarted(same.urn, "same", same, same),
            StepDone(same.urn, "same", same, same, 0.0),
            StepStarted(plane.urn, "create", None, plane),
            StepDone(plane.urn, "create", None, plane, 0.0),
            StepStarted(network.urn, "create", None, network),
            *(Diagnostic("info", f"step {n}", network.urn, ephemeral=True) for n in range(3)),
            StepDone(network.urn, "create", None, network, 1.23),
            StepStarted(before.urn, "update", before, after, detailed={"entries": "update"}),
            Diagnostic("warning", "two nodes are newer\nthan the list", before.urn),
            Diagnostic("debug", "hush: only for debugging", before.urn),
            StepDone(before.urn, "update", before, after, 75.0),
            StepStarted(two.urn, "create-replacement", one, two, replaces=["kind"]),
            StepDone(two.urn, "create-replacement", one, two, 1.0),
            StepStarted(two.urn, "replace", one, two, replaces=["kind"]),
            StepDone(two.urn, "replace", one, two, 0.0),
            StepStarted(one.urn, "delete-replaced", one, None),
            StepDone(one.urn, "delete-replaced", one, None, 1.0),
            OutputsRegistered(stack.urn, stack, stack),
            StepStarted(old.urn, "delete", old, None),
        ]
        counts = {"same": 2, "create": 2, "update": 1, "replace": 1, "create-replacement": 1, "delete-replaced": 1}
        if preview:
            events.append(StepDone(old.urn, "delete", old, None, 0.0))
            counts["delete"] = 1
        else:
            events.append(StepFailed(old.urn, "delete", "daemon said no:\nport in use", 0.5))
        events.append(Finished(counts, 125.2, not preview, {"url": "http://old"}, dict(stack.outputs)))
        return events

    return tell
