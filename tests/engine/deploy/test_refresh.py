"""Refresh: drift is found, shown and put right by the next update."""

from __future__ import annotations

import json

TEXT = 'a = Thing("a", size=1)\nb = Thing("b", kind=a.made)\npulumi.export("size", a.made)'


def thing(bench, label):
    return next(p for p in (bench.root / "things").iterdir() if p.name.startswith(f"{label}-"))


def drift(bench, label, **changes):
    path = thing(bench, label)
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_nothing_changed(bench):
    before = bench.up(TEXT)
    outcome = bench.run("refresh")
    assert outcome.failed is None
    assert outcome.changes == {"same": 3}
    for resource in before.snapshot.resources:  # as the CLI does, it leaves out properties that depend on nothing
        resource.property_dependencies = {key: urns for key, urns in resource.property_dependencies.items() if urns}
    assert outcome.snapshot.resources == before.snapshot.resources


def test_drift_is_shown_and_repaired(bench):
    bench.up(TEXT)
    drift(bench, "a", size=9)
    preview = bench.run("refresh", dry_run=True)
    assert preview.changes == {"same": 2, "update": 1}
    assert bench.state.resources[2].outputs["size"] == 1
    outcome = bench.run("refresh")
    assert outcome.changes == {"same": 2, "update": 1}
    done = next(e for e in outcome.events if getattr(e, "op", "") == "update")
    assert done.detailed == {"size": "update"}
    assert outcome.named("a").inputs["size"] == 9
    assert outcome.named("a").outputs["size"] == 9
    bench.calls()
    assert bench.up().changes == {"same": 2, "update": 1}
    assert bench.calls() == ["update a"]
    assert json.loads(thing(bench, "a").read_text())["size"] == 1


def test_refresh_in_update_and_preview(bench):
    bench.up(TEXT)
    drift(bench, "a", size=9)
    preview = bench.run("preview", refresh=True)
    assert preview.changes == {"same": 1, "update": 1, "replace": 1}, "what a says is unknown until it is updated"
    assert "update a" in preview.ops()
    assert bench.up(refresh=True).changes == {"same": 2, "update": 1}
    assert json.loads(thing(bench, "a").read_text())["size"] == 1


def test_what_is_gone_is_made_anew(bench):
    bench.up(TEXT)
    thing(bench, "a").unlink()
    outcome = bench.run("refresh")
    assert outcome.changes == {"same": 2, "delete": 1}
    assert [r.name for r in outcome.snapshot.resources] == ["proj-dev", "default", "b"]
    assert outcome.named("b").dependencies == []
    assert bench.up().changes == {"same": 2, "create": 1}


def test_a_failed_read_changes_nothing(bench):
    bench.up(TEXT)
    drift(bench, "b", size=5)
    thing(bench, "a").write_text("not json")
    outcome = bench.run("refresh")
    assert outcome.failed
    assert outcome.named("a") == next(r for r in bench.saves[0].resources + bench.state.resources if r.name == "a")
    assert len(outcome.snapshot.resources) == 4
