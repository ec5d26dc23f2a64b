"""What an engine that was killed left on record is settled by the next operation."""

from __future__ import annotations

import copy

from engine.model import PendingOperation

TEXT = 'a = Thing("a", size=1)\nb = Thing("b", kind=a.made)\nc = Thing("c")'


def interrupted(bench, type, name):
    resource = next(r for r in bench.state.resources if r.name == name)
    bench.state.pending_operations = [PendingOperation(copy.deepcopy(resource), type)]
    bench.calls()


def test_a_deletion_is_repeated_and_what_is_wanted_made_anew(bench):
    bench.up(TEXT)
    interrupted(bench, "deleting", "c")
    outcome = bench.up()
    assert bench.calls() == ["delete c", "deleted c", "create c", "created c"]
    assert outcome.changes == {"same": 3, "replace": 1}
    assert outcome.snapshot.pending_operations == []
    assert bench.things() == ["a", "b", "c"]
    assert bench.up().changes == {"same": 4}


def test_a_deletion_is_repeated_though_nobody_wants_it_back(bench):
    bench.up(TEXT)
    interrupted(bench, "deleting", "c")
    outcome = bench.up(TEXT.replace('\nc = Thing("c")', ""))
    assert bench.calls() == ["delete c", "deleted c"]
    assert outcome.snapshot.pending_operations == []
    assert bench.things() == ["a", "b"]


def test_a_deletion_that_fails_stays_on_record(bench):
    bench.up('a = Thing("a", stuck=True)')
    interrupted(bench, "deleting", "a")
    outcome = bench.run()
    assert outcome.failed
    assert "it is stuck" in outcome.messages("error") + "".join(getattr(e, "message", "") for e in outcome.events)
    assert [pending.type for pending in outcome.snapshot.pending_operations] == ["deleting"]


def test_an_update_is_repeated_though_the_program_seems_unchanged(bench):
    bench.up(TEXT)
    interrupted(bench, "updating", "a")
    outcome = bench.up()
    assert bench.calls() == ["update a"]
    assert outcome.changes == {"same": 3, "update": 1}
    assert outcome.snapshot.pending_operations == []
    assert outcome.named("a").init_errors == []
    assert bench.up().changes == {"same": 4}


def test_what_vanished_during_an_update_is_made_anew(bench):
    bench.up(TEXT)
    interrupted(bench, "updating", "c")
    next(path for path in (bench.root / "things").iterdir() if path.name.startswith("c-")).unlink()
    assert bench.up().changes == {"same": 3, "replace": 1}
    assert bench.things() == ["a", "b", "c"]


def test_a_creation_is_repeated_and_no_longer_warned_of(bench):
    bench.up(TEXT)
    interrupted(bench, "creating", "c")
    bench.state.resources = [r for r in bench.state.resources if r.name != "c"]
    outcome = bench.up()
    assert "c, interrupted while creating" in outcome.messages("warning")
    assert bench.calls() == ["create c", "created c"]
    assert outcome.snapshot.pending_operations == []


def test_a_preview_settles_nothing(bench):
    bench.up(TEXT)
    interrupted(bench, "deleting", "c")
    assert bench.run("preview").changes == {"same": 4}
    assert bench.calls() == []


def test_destroy_and_refresh_leave_the_rest_on_record_until_it_is_done(bench):
    bench.up(TEXT)
    interrupted(bench, "deleting", "c")
    saves = len(bench.saves)
    assert bench.run("destroy").failed is None
    first, last = bench.saves[saves], bench.saves[-1]
    assert "deleting" in [pending.type for pending in first.pending_operations]
    assert (last.resources, last.pending_operations) == ([], [])
    bench.up(TEXT)
    interrupted(bench, "deleting", "c")
    assert bench.run("refresh").snapshot.pending_operations == []


def test_what_is_no_target_stays_on_record(bench):
    a = bench.up(TEXT).named("a")
    interrupted(bench, "deleting", "c")
    outcome = bench.up(targets=(a.urn,))
    assert bench.calls() == []
    assert [pending.type for pending in outcome.snapshot.pending_operations] == ["deleting"]
