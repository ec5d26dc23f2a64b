"""Previews: what is known, what is not, and that nothing is touched."""

from __future__ import annotations

from engine.model import UNKNOWN

TEXT = """
a = Thing("a", size={size})
b = Thing("b", kind=a.made)
a.made.apply(lambda made: print("made is", made))
a.label.apply(lambda label: print("label is", label))
pulumi.export("made", a.made)
pulumi.export("label", a.label)
"""


def printed(outcome):
    return outcome.messages("info")


def test_create(bench):
    bench.program(TEXT.format(size=1))
    outcome = bench.run("preview")
    assert outcome.failed is None
    assert outcome.changes == {"create": 3}
    assert bench.calls() == []
    assert bench.saves == []
    assert printed(outcome) == "label is a", "inputs are known, what only the provider can tell is not"
    assert outcome.started("create", "b").new.inputs["kind"] is UNKNOWN
    assert outcome.outputs == {"made": UNKNOWN, "label": "a"}


def test_update_makes_outputs_unknown(bench):
    bench.up(TEXT.format(size=1))
    bench.program(TEXT.format(size=2))
    count, things = len(bench.saves), bench.calls()
    outcome = bench.run("preview")
    assert outcome.changes == {"same": 1, "update": 1, "replace": 1}
    assert printed(outcome) == "label is a"
    assert outcome.started("create-replacement", "b").replaces == ["kind"]
    assert len(bench.saves) == count
    assert bench.calls() == []
    assert things


def test_same_keeps_outputs_known(bench):
    bench.up(TEXT.format(size=1))
    outcome = bench.run("preview")
    assert outcome.changes == {"same": 3}
    assert "made is made-a" in printed(outcome)


def test_delete_is_only_shown(bench):
    bench.up(TEXT.format(size=1))
    bench.calls()
    bench.program("pass")
    outcome = bench.run("preview")
    assert outcome.changes == {"same": 1, "delete": 2}
    assert bench.run("destroy", dry_run=True).changes == {"delete": 3}
    assert bench.calls() == []
    assert bench.things() == ["a", "b"]
