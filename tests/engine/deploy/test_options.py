"""Resource options."""

from __future__ import annotations

import pytest

from engine.model import Secret


def test_protect_holds_until_it_is_taken_off(bench):
    text = 'a = Thing("a", kind="{}", opts=Opts(protect={}))'
    bench.up(text.format("x", True))
    bench.program("pass")
    assert bench.run("preview").failed
    outcome = bench.run()
    assert outcome.failed
    assert "because it is protected" in "".join(e.message for e in outcome.events if hasattr(e, "message"))
    assert outcome.named("a").protect
    bench.program(text.format("y", True))
    refused = bench.run()
    assert refused.failed
    assert "currently marked for protection" in refused.messages("error")
    preview = bench.run("preview")
    assert preview.failed
    assert "create-replacement a" in preview.ops(), "a preview shows what the refusal is about"
    assert bench.run("destroy").failed
    assert bench.things() == ["a"]
    assert bench.up(text.format("y", False)).changes == {"same": 1, "replace": 1}
    assert bench.run("destroy").failed is None


def test_protect_is_inherited_from_the_parent(bench):
    outcome = bench.up(
        """
        class Group(pulumi.ComponentResource):
            def __init__(self, name, opts=None):
                super().__init__("test:index:Group", name, {}, opts)
                Thing("inside", opts=Opts(parent=self))
        Group("g", opts=Opts(protect=True))
        """
    )
    assert outcome.named("inside").protect


def test_ignore_changes(bench):
    text = 'a = Thing("a", kind="k", size={{"x": {}, "y": {}}}, opts=Opts(ignore_changes=["size.x"]))'
    bench.up(text.format(1, 1))
    assert bench.up(text.format(2, 1)).changes == {"same": 2}
    outcome = bench.up(text.format(3, 2))
    assert outcome.changes == {"same": 1, "update": 1}
    assert outcome.named("a").inputs["size"] == {"x": 1, "y": 2}
    assert outcome.named("a").ignore_changes == ["size.x"]


def test_alias_keeps_the_resource(bench):
    before = bench.up('a = Thing("a", label="same")').named("a")
    bench.calls()
    outcome = bench.up('b = Thing("b", label="same", opts=Opts(aliases=[pulumi.Alias(name="a")]))')
    assert outcome.changes == {"same": 2}
    assert outcome.named("b").id == before.id
    assert outcome.named("b").aliases == [], "references are rewritten, so nobody needs them any more"
    assert bench.calls() == []
    assert [r.name for r in outcome.snapshot.resources if not r.is_provider] == ["proj-dev", "b"]


def test_alias_of_a_parent_is_inherited(bench):
    text = """
        class Group(pulumi.ComponentResource):
            def __init__(self, name, opts=None):
                super().__init__("test:index:Group", name, {{}}, opts)
                Thing(name + "-inside", label="same", opts=Opts(parent=self))
        Group({!r}, opts=Opts(aliases={}))
        """
    before = bench.up(text.format("old", "[]")).named("old-inside")
    outcome = bench.up(text.format("new", '[pulumi.Alias(name="old")]'))
    assert outcome.changes == {"same": 3}
    assert outcome.named("new-inside").id == before.id
    for saved in bench.saves:
        known = {r.urn for r in saved.resources}
        assert all(r.parent in known for r in saved.resources if r.parent)


def test_retain_on_delete(bench):
    bench.up('a = Thing("a", opts=Opts(retain_on_delete=True))')
    outcome = bench.up("pass")
    assert outcome.changes == {"same": 1, "delete": 1}
    assert bench.things() == ["a"]


def test_deleted_with(bench):
    bench.up('a = Thing("a")\nb = Thing("b", opts=Opts(deleted_with=a))')
    bench.calls()
    outcome = bench.run("destroy")
    assert outcome.snapshot.resources == []
    assert bench.calls() == ["delete a", "deleted a"]


def test_custom_timeouts_are_recorded(bench):
    outcome = bench.up('Thing("a", opts=Opts(custom_timeouts=pulumi.CustomTimeouts(create="1m30s", delete="250ms")))')
    assert outcome.named("a").custom_timeouts == {"create": 90.0, "delete": 0.25}


GET = """
class Found(pulumi.CustomResource):
    label: pulumi.Output[str]
    def __init__(self, name, id, provider):
        super().__init__("pulumi-python:dynamic/test:Thing", name, {"label": None, "__provider": provider},
                         Opts(id=id))
from things import ThingProvider
from pulumi.dynamic.dynamic import serialize_provider
"""


def test_get_reads_and_does_not_manage(bench):
    (bench.root / "things").mkdir()
    (bench.root / "things" / "wild-1").write_text('{"label": "wild"}')
    text = GET + 'f = Found("f", "wild-1", serialize_provider(ThingProvider()))\npulumi.export("label", f.label)'
    outcome = bench.up(text)
    assert outcome.changes == {"create": 1}
    assert outcome.named("f").external
    assert outcome.outputs == {"label": "wild"}
    assert bench.up().changes == {"same": 1}
    gone = bench.up("pass")
    assert gone.changes == {"same": 1, "discard": 1}
    assert bench.things() == ["wild"]


def test_get_of_what_is_not_there(bench):
    bench.program(GET + 'f = Found("f", "nothing", serialize_provider(ThingProvider()))')
    outcome = bench.run()
    assert outcome.failed
    assert any("'nothing' does not exist" in getattr(e, "message", "") for e in outcome.events)


def test_stack_reference(bench):
    text = 'r = pulumi.StackReference("organization/proj/other")\npulumi.export("x", r.require_output("x"))'
    bench.program(text)
    outputs = {"x": Secret(7), "y": 1}
    outcome = bench.up(stack_outputs=lambda name: outputs if name == "organization/proj/other" else {})
    assert outcome.outputs == {"x": Secret(7)}
    assert outcome.changes == {"create": 1}


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ('Thing("a", opts=Opts(hide_diffs=["size"]))', "hideDiffs"),
        ('Thing("a", opts=Opts(replacement_trigger="x"))', "replacementTrigger"),
        ('Thing("a", size=pulumi.StringAsset("text"))', "asset"),
        ('pulumi.CustomResource("random:index/randomId:RandomId", "r", {})', "random"),
    ],
)
def test_what_is_not_implemented_is_refused_by_name(bench, text, named):
    bench.program(text)
    outcome = bench.run()
    assert outcome.failed
    assert named in outcome.messages("error")
    assert bench.calls() == []
