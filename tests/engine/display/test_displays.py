"""Each display on the same story: golden texts."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from dataclasses import replace

import click
import pytest

from engine.display import show
from engine.display.diff import Differ
from engine.events import Diagnostic, Event, Finished, Started, StepDone, StepStarted, Violation
from engine.model import Resource

Story = Callable[[bool], list[Event]]

plain_update = """\
    pulumi:pulumi:Stack berth-dev: Reading block 12
 +  berth:platform:Network plane creating
 +  berth:platform:Network plane created (0.0s)
 +  docker:index:Network inside creating
    docker:index:Network inside: step 0
 +  docker:index:Network inside created (1.2s)
 ~  pulumi-python:dynamic/berth:AccessList list updating [diff: ~entries]
    pulumi-python:dynamic/berth:AccessList list: warning: two nodes are newer
 ~  pulumi-python:dynamic/berth:AccessList list updated (1m15s) [diff: ~entries]
 ++ a:b:C node creating replacement [diff: ~kind]
 ++ a:b:C node created replacement (1.0s) [diff: ~kind]
 +- a:b:C node replaced (0.0s) [diff: ~kind]
 -- a:b:C node deleting original [diff: ~kind]
 -- a:b:C node deleted original (1.0s) [diff: ~kind]
 -  a:b:C gone deleting
 -  a:b:C gone **deleting failed**

Diagnostics:
  pulumi-python:dynamic/berth:AccessList (list):
    warning: two nodes are newer
    than the list

  a:b:C (gone):
    error: daemon said no:
    port in use

Outputs:
  + token: [secret]
  ~ url: "http://old" => "http://localhost"

Resources:
    + 2 created
    ~ 1 updated
    +- 1 replaced
    4 changes. 2 unchanged
    1 errored

Duration: 2m5s
"""

diff_preview = """\
  pulumi:pulumi:Stack: (same)
    [urn=urn:pulumi:dev::berth::pulumi:pulumi:Stack::berth-dev]
    + berth:platform:Network: (create)
        [urn=urn:pulumi:dev::berth::berth:platform:Network::plane]
        + docker:index:Network: (create)
            [urn=urn:pulumi:dev::berth::docker:index/network:Network::inside]
            name    : "berth-dev"
            password: [secret]
    ~ pulumi-python:dynamic/berth:AccessList: (update)
        [id=id-list]
        [urn=urn:pulumi:dev::berth::pulumi-python:dynamic/berth:AccessList::list]
      ~ entries: {
          - 2: {
              - owner: "0x2"
            }
          + 3: {
              + owner: "0x3"
            }
        }
    ++ a:b:C: (create-replacement)
        [id=id-node]
        [urn=urn:pulumi:dev::berth::a:b/c:C::node]
      ~ kind: "x" => "y"
    +- a:b:C: (replace)
        [id=id-node]
        [urn=urn:pulumi:dev::berth::a:b/c:C::node]
      ~ kind: "x" => "y"
    -- a:b:C: (delete-replaced)
        [id=id-node]
        [urn=urn:pulumi:dev::berth::a:b/c:C::node]
    - a:b:C: (delete)
        [id=id-gone]
        [urn=urn:pulumi:dev::berth::a:b/c:C::gone]
"""


def told(
    events: list[Event], *, live: bool = False, color: bool = False, diff: bool = False, json: bool = False
) -> str:
    out = io.StringIO()
    display = show(out, live=live, color=color, diff=diff, json="digest" if json else "")
    for event in events:
        display(event)
    display.close()
    return out.getvalue()


def test_a_log_of_an_update(story: Story) -> None:
    assert told(story(False)) == plain_update


def test_details_of_a_preview(story: Story) -> None:
    differ = Differ()
    told = "".join(f"{line}\n" for event in story(True) for line in differ(event))
    assert click.unstyle(told) == diff_preview


def test_a_preview_speaks_of_what_will_be(story: Story) -> None:
    text = told(story(True))
    assert " ~  pulumi-python:dynamic/berth:AccessList list update [diff: ~entries]\n" in text
    assert "    + 2 to create\n    ~ 1 to update\n    - 1 to delete\n    +- 1 to replace\n    5 changes" in text
    assert "created" not in text


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("diff", [False, True])
@pytest.mark.parametrize("preview", [False, True])
def test_no_display_tells_secrets_or_paints_where_it_should_not(
    story: Story, live: bool, diff: bool, preview: bool
) -> None:
    text = told(story(preview), live=live, diff=diff)
    assert "hush" not in text
    assert "\033[3" not in text
    if not live:
        assert "\033" not in text
    assert "hush" not in told(story(preview), json=True)


def test_colours_where_they_are_wanted(story: Story) -> None:
    assert "\033[32m" in told(story(True), color=True)


def test_the_tree_of_a_terminal(story: Story, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    text = told(story(False), live=True)
    expected = [
        "     Type                                       Name       Status",
        "     pulumi:pulumi:Stack                        berth-dev",
        " +   ├─ berth:platform:Network                  plane      created (0.0s)",
        " +   │  └─ docker:index:Network                 inside     created (1.2s)",
        " ~   ├─ pulumi-python:dynamic/berth:AccessList  list       updated (1m15s)      [diff: ~entries]; 1 warning",
        " +-  ├─ a:b:C                                   node       replaced (1.0s)      [diff: ~kind]",
        " -   └─ a:b:C                                   gone       **deleting failed**  1 error",
    ]
    final = text[text.rindex("     Type") :].splitlines()
    assert [line.rstrip() for line in final[1:7]] == expected[1:]
    assert final[0].startswith(expected[0])
    assert "a:b:C                                   same" not in text
    assert "than the list" in text


def test_json_lines_have_pulumis_shape(story: Story) -> None:
    out = io.StringIO()
    display = show(out, live=False, color=False, diff=False, json="stream")
    violation = Violation("urn:pulumi:dev::berth::a:b:C::node", "rules", "1.2.3", "size", "mandatory", "low", "no")
    *events, finished = story(False)
    assert isinstance(finished, Finished)
    for event in [*events, violation, replace(finished, packs=(("rules", "1.2.3", "../rules"),))]:
        display(event)
    display.close()
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert [line["sequence"] for line in lines] == list(range(len(lines)))
    told = [(kind, line[kind]) for line in lines for kind in line.keys() - {"sequence", "timestamp"}]
    update = next(
        each["metadata"] for kind, each in told if kind == "resourcePreEvent" and each["metadata"].get("diffs")
    )
    assert set(update) == {"op", "urn", "type", "old", "new", "diffs", "detailedDiff", "logical", "provider"}
    assert update["detailedDiff"] == {"entries": {"diffKind": "update", "inputDiff": True}}
    assert set(update["new"]) >= {"type", "urn", "custom", "id", "parent", "inputs", "outputs", "provider"}
    assert dict(told)["policyEvent"] == {
        "resourceUrn": violation.urn,
        "policyName": "size",
        "policyPackName": "rules",
        "policyPackVersion": "1.2.3",
        "policyPackVersionTag": "1.2.3",
        "message": "no\n",
        "color": "never",
        "enforcementLevel": "mandatory",
        "severity": "low",
    }
    assert dict(told)["summaryEvent"]["PolicyPacks"] == {"rules|local|../rules": "1.2.3"}
    assert told[-1] == ("cancelEvent", {})


@pytest.mark.parametrize("columns", [60, 80])
def test_a_narrow_terminal_still_shows_how_it_went(story: Story, monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    text = told(story(False), live=True)
    rows = text[text.rindex("     Type") :].split("\n\n")[0].splitlines()
    assert all(len(row) <= columns for row in rows)
    assert [row.rstrip().rpartition("  ")[2] for row in rows if "list" in row or "gone" in row] == [
        "updated (1m15s)",
        "**deleting failed**",
    ]
    assert "         [diff: ~entries]; 1 warning" in rows  # below its row, as it does not fit beside it


def test_json_has_pulumis_shape(story: Story) -> None:
    document = json.loads(told(story(True), json=True))
    assert list(document) == ["config", "steps", "diagnostics", "duration", "changeSummary"]
    assert document["config"] == {"berth:key": "[secret]", "berth:a": "1"}
    assert [(step["op"], step["urn"].rpartition("::")[2]) for step in document["steps"]] == [
        ("same", "berth-dev"),
        ("create", "plane"),
        ("create", "inside"),
        ("update", "list"),
        ("create-replacement", "node"),
        ("replace", "node"),
        ("delete-replaced", "node"),
        ("delete", "gone"),
    ]
    update = document["steps"][3]
    assert update["diffReasons"] == ["entries"]
    assert update["detailedDiff"] == {"entries": {"kind": "update", "inputDiff": True}}
    assert update["oldState"]["inputs"]["entries"] == {"1": {"owner": "0x1"}, "2": {"owner": "0x2"}}
    assert document["steps"][2]["newState"]["inputs"]["password"] == "[secret]"
    assert document["steps"][5]["replaceReasons"] == ["kind"]
    assert [d["severity"] for d in document["diagnostics"]] == ["info", "warning"]
    assert document["duration"] == 125_200_000_000
    assert document["changeSummary"]["create"] == 2


def test_a_refresh_shows_what_it_found() -> None:
    old = Resource("urn:pulumi:dev::p::a:b:C::n", "a:b:C", True, id="1", inputs={"digest": "x"}, outputs={"drift": {}})
    new = Resource(
        old.urn, old.type, True, id="1", inputs={"digest": "y"}, outputs={"drift": {"missing": {"k": "10.0.0.2"}}}
    )
    events: list[Event] = [
        Started("refresh", "dev", "p", True, {}),
        StepStarted(old.urn, "refresh", old, None),
        StepDone(old.urn, "update", old, new, 0.2, refreshed=True),
        Finished({"update": 1}, 0.3, False),
    ]
    assert " ~  a:b:C n update [diff: ~drift]\n" in told(events)
    assert '  ~ drift: {\n      + missing: {\n          + k: "10.0.0.2"\n' in told(events, diff=True)
    assert json.loads(told(events, json=True))["steps"][0]["op"] == "update"


def test_a_refresh_and_an_update_of_one_resource_are_two_steps_of_a_preview() -> None:
    old = Resource("urn:pulumi:dev::p::a:b:C::n", "a:b:C", True, id="1", inputs={"a": 1}, outputs={"a": 1})
    drifted, new = replace(old, outputs={"a": 2}), replace(old, inputs={"a": 3})
    events: list[Event] = [
        StepDone(old.urn, "update", old, drifted, 0.2, refreshed=True),
        StepStarted(old.urn, "update", drifted, new),
        StepDone(old.urn, "update", drifted, new, 0.2),
    ]
    steps = json.loads(told(events, json=True))["steps"]
    assert [step["newState"]["inputs"] for step in steps] == [{"a": 1}, {"a": 3}]


def test_progress_is_told_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("engine.display.plain.time.monotonic", lambda: now)
    out = io.StringIO()
    display = show(out, live=False, color=False, diff=False, json="")
    for step in range(100):
        now += 0.25
        display(Diagnostic("info", f"step {step}", "urn:a::b::t:t:T::x", ephemeral=True))
        display(Diagnostic("info", f"step {step}", "urn:a::b::t:t:T::y", ephemeral=True))
    assert len(out.getvalue().splitlines()) == 10


def test_an_operation_that_was_stopped_says_so(story: Story) -> None:
    text = told(story(False)[:12])
    assert text.endswith("The operation was stopped before it ended.\n")
