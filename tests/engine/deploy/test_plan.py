"""What a plan allows, and what its file holds; programs held to plans are in the matrix."""

from __future__ import annotations

import pytest

from engine.backend.secrets import PassphraseManager
from engine.cli import planfile
from engine.deploy.goals import Goal
from engine.deploy.identity import Problem
from engine.deploy.plan import Entry, Planner
from engine.deploy.scope import Urns
from engine.model import UNKNOWN, Resource, Secret

urn = "urn:pulumi:dev::p::t::a"


def held(planned: dict, olds: dict, news: dict) -> None:
    making = Planner(None, making=True)
    old = Resource(urn, "t", True, inputs=olds)
    making.goal(Goal(), Resource(urn, "t", True, inputs=planned), old, False)
    Planner(making.made, making=False).goal(Goal(), Resource(urn, "t", True, inputs=news), old, False)


@pytest.mark.parametrize(
    ("planned", "olds", "news"),
    [
        ({"x": 1}, {"x": 1}, {"x": 1}),
        ({"x": UNKNOWN}, {"x": 1}, {"x": 5}),
        ({"x": {"deep": [UNKNOWN]}}, {}, {"x": {"deep": ["any"]}}),
        ({"x": UNKNOWN}, {"x": 1}, {}),  # it turned out to be nothing
        ({}, {"x": 1}, {}),
        ({"x": Secret(1)}, {}, {"x": Secret(1)}),
    ],
)
def test_what_was_planned_or_could_not_be_known_is_allowed(planned, olds, news):
    held(planned, olds, news)


@pytest.mark.parametrize(
    ("planned", "olds", "news", "named"),
    [
        ({"x": 1}, {"x": 1}, {"x": 2}, "x (planned: unchanged, now: 2)"),
        ({"x": 2}, {"x": 1}, {"x": 1}, "x (planned: 2, now: 1)"),
        ({}, {}, {"x": 1}, "x (planned: unchanged, now: 1)"),
        ({"x": 1}, {"x": 1}, {}, "x (planned: unchanged, now: none)"),
        ({}, {"x": 1}, {"x": 1}, "x (planned: deleted, now: 1)"),
        ({"x": Secret("hush")}, {}, {"x": Secret("husher")}, "x (planned: [secret], now: [secret])"),
    ],
)
def test_anything_else_is_refused_and_named(planned, olds, news, named):
    with pytest.raises(Problem) as refused:
        held(planned, olds, news)
    assert str(refused.value).endswith(f"violates plan: properties changed: {named}")


def test_lesser_steps_are_allowed_and_greater_ones_are_not():
    planner = Planner({urn: Entry({}, ["create-replacement", "replace", "update"])}, making=False)
    planner.step("update", urn)
    planner.step("same", urn)
    with pytest.raises(Problem, match="replace is not allowed by the plan: this resource is constrained to update"):
        planner.step("replace", urn)
    with pytest.raises(Problem, match="no more steps were expected"):
        planner.step("same", urn)


def test_a_planned_deletion_of_what_is_gone_is_not_missed():
    planner = Planner({urn: Entry(None, ["delete"]), "other": Entry({}, ["update"])}, making=False)
    assert planner.unmet(set()) == ["other"]
    assert planner.unmet({urn}) == [urn, "other"]


def test_the_file_of_a_plan_keeps_values_and_hides_secrets(tmp_path, monkeypatch):
    monkeypatch.setattr("engine.backend.secrets._rounds", 1000)
    secrets = PassphraseManager.new(lambda: "pass")
    goal = {"inputDiff": {"adds": {"x": Secret("hush"), "y": UNKNOWN}}, "deleteBeforeReplace": None, "protect": False}
    planfile.write(tmp_path / "plan", {urn: Entry(goal, ["create"], {"z": Secret([1])})}, secrets)
    assert "hush" not in (tmp_path / "plan").read_text("utf-8")
    del goal["deleteBeforeReplace"]
    assert planfile.read(tmp_path / "plan", secrets) == {urn: Entry(goal, ["create"], {"z": Secret([1])})}


@pytest.mark.parametrize(
    ("given", "urn", "held"),
    [
        ("urn:pulumi:a::b::c::d", "urn:pulumi:a::b::c::d", True),
        ("urn:pulumi:a::b::c::d", "urn:pulumi:a::b::c::de", False),
        ("urn:pulumi:*::b::c::d", "urn:pulumi:a::b::c::d", True),
        ("urn:pulumi:*::d", "urn:pulumi:a::b::c::d", False),
        ("**::d", "urn:pulumi:a::b::c::d", True),
        ("**.d", "urn:pulumi:a::b::c::xd", False),
    ],
)
def test_wildcards(given, urn, held):
    assert (urn in Urns([given])) is held
    assert urn not in Urns([])
