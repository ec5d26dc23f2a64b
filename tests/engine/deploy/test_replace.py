"""Replacements, in both orders, and what they pull along."""

from __future__ import annotations

from engine.model import Resource

CHAIN = """
a = Thing("a", kind="{kind}", first_delete={first})
b = Thing("b", kind=a.id)
c = Thing("c", opts=Opts(depends_on=[b]))
"""


def chain(kind: str, first: bool = False) -> str:
    return CHAIN.format(kind=kind, first=first)


def test_create_before_delete(bench):
    old = bench.up(chain("x")).named("a")
    bench.calls()
    outcome = bench.up(chain("y"))
    assert outcome.named("a").id != old.id
    assert bench.calls() == [
        "create a",
        "created a",
        "create b",  # its kind is the id of a, and changing that replaces it too
        "created b",
        "delete b",
        "deleted b",
        "delete a",
        "deleted a",
    ]
    assert outcome.changes == {"same": 2, "replace": 2}
    steps = [op for op in outcome.ops() if op.endswith(" a")]
    assert steps == ["create-replacement a", "replace a", "delete-replaced a"]
    started = outcome.started("create-replacement", "a")
    assert started.replaces == ["kind"]
    assert started.detailed is None, "the provider gave no details, and the CLI makes none up"
    assert not any(r.delete for r in outcome.snapshot.resources)


def test_old_one_waits_for_deletion_in_the_state(bench):
    bench.up('a = Thing("a", kind="x", stuck=True)')
    bench.program('a = Thing("a", kind="y")')
    outcome = bench.run()
    assert outcome.failed
    marks = [(r.name, r.delete) for r in outcome.snapshot.resources if r.name == "a"]
    assert marks == [("a", False), ("a", True)]
    again = bench.run()
    assert again.failed
    assert "it is stuck" in "".join(e.message for e in again.events if hasattr(e, "message"))
    assert "delete-replaced" in {e.op for e in again.events if hasattr(e, "op")}


def test_delete_before_replace_takes_dependents_first(bench):
    bench.up(chain("x", True))
    bench.calls()
    outcome = bench.up(chain("y", True))
    assert bench.calls() == [
        "delete b",
        "deleted b",
        "delete a",
        "deleted a",
        "create a",
        "created a",
        "create b",
        "created b",
    ]
    steps = [op for op in outcome.ops() if op[-1] in "ab"]
    assert steps == [
        "delete-replaced b",
        "delete-replaced a",
        "replace a",
        "create-replacement a",
        "replace b",
        "create-replacement b",
    ]
    assert outcome.changes == {"same": 2, "replace": 2}
    assert not any(r.pending_replacement for r in outcome.snapshot.resources)
    assert len(outcome.snapshot.resources) == 5


def test_delete_before_replace_shown_by_preview(bench):
    bench.up(chain("x", True))
    bench.program(chain("y", True))
    outcome = bench.run("preview")
    assert outcome.failed is None
    assert outcome.changes == {"same": 2, "replace": 2}


def test_delete_before_replace_by_option(bench):
    text = 'a = Thing("a", kind="{}", opts=Opts(delete_before_replace=True))'
    bench.up(text.format("x"))
    bench.calls()
    bench.up(text.format("y"))
    assert bench.calls() == ["delete a", "deleted a", "create a", "created a"]


def test_interrupted_delete_before_replace_goes_on(bench):
    text = 'a = Thing("a", kind="{}", fail={!r}, opts=Opts(delete_before_replace=True))'
    bench.up(text.format("x", None))
    bench.program(text.format("y", "no room"))
    outcome = bench.run()
    assert outcome.failed
    left = next(r for r in outcome.snapshot.resources if r.name == "a")
    assert left.pending_replacement
    bench.calls()
    repaired = bench.up(text.format("y", None))
    assert bench.calls() == ["create a", "created a"]
    assert not repaired.named("a").pending_replacement
    assert repaired.changes == {"same": 1, "replace": 1}


def test_pending_replacement_that_is_no_longer_wanted(bench):
    bench.up('a = Thing("a", kind="x")')
    left: Resource = next(r for r in bench.state.resources if r.name == "a")
    left.pending_replacement = True
    bench.calls()
    outcome = bench.up("pass")
    assert bench.calls() == []
    assert outcome.ops()[-1] == "remove-pending-replace a"
    assert all(r.name != "a" for r in outcome.snapshot.resources)


def test_replace_on_changes(bench):
    text = 'a = Thing("a", size={{"x": {}, "y": 1}}, opts=Opts(replace_on_changes=["size.x"]))'
    bench.up(text.format(1))
    outcome = bench.up(text.format(2))
    assert outcome.changes == {"same": 1, "replace": 1}
    assert outcome.started("create-replacement", "a").detailed == {"size.x": "update-replace"}
