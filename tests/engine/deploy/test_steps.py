"""Same, create, update, delete, components, outputs, providers, state."""

from __future__ import annotations

from engine.events import Finished, OutputsRegistered, Started
from engine.model import Secret

TWO = """
a = Thing("a", kind="x", size=1)
b = Thing("b", kind=a.made)
pulumi.export("made", b.made)
pulumi.export("secret", pulumi.Output.secret({"deep": [1, 2.5]}))
"""


def test_create_then_nothing_to_do(bench):
    first = bench.up(TWO)
    assert first.changes == {"create": 3}
    assert first.outputs == {"made": "made-b", "secret": Secret({"deep": [1, 2.5]})}
    assert isinstance(first.events[0], Started)
    finished = first.events[-1]
    assert isinstance(finished, Finished)
    assert (finished.outputs_old, finished.outputs_new["made"]) == ({}, "made-b")
    again = bench.up()
    assert again.changes == {"same": 3}
    assert bench.calls() == ["create a", "created a", "create b", "created b"]
    assert again.snapshot.resources == first.snapshot.resources


def test_state_names_parents_providers_dependencies_in_order(bench):
    outcome = bench.up(TWO, config={"proj:region": "here"})
    stack, provider, a, b = outcome.snapshot.resources
    assert stack.urn == "urn:pulumi:dev::proj::pulumi:pulumi:Stack::proj-dev"
    assert provider.urn == "urn:pulumi:dev::proj::pulumi:providers:pulumi-python::default"
    assert provider.parent == ""
    assert provider.inputs == {"proj:region": "here"}
    assert a.urn == "urn:pulumi:dev::proj::pulumi-python:dynamic/test:Thing::a"
    assert a.provider == f"{provider.urn}::{provider.id}"
    assert a.parent == stack.urn
    assert b.dependencies == [a.urn]
    assert b.property_dependencies == {"label": [], "kind": [a.urn], "__provider": []}
    assert a.inputs["size"] == 1
    assert isinstance(a.inputs["__provider"], Secret)
    assert isinstance(a.outputs["__provider"], Secret)
    assert a.created == a.modified
    assert a.created.endswith("Z")
    assert a.source_position.startswith("project:///things.py#")


def test_every_save_is_consistent_and_records_what_is_begun(bench):
    bench.up(TWO)
    begun = [[(p.type, p.resource.name) for p in saved.pending_operations] for saved in bench.saves]
    assert [("creating", "a")] in begun
    assert [("creating", "b")] in begun
    assert begun[-1] == []
    for saved in bench.saves:
        known = set()
        for resource in saved.resources:
            assert {*resource.dependencies, resource.parent} - {""} <= known
            known.add(resource.urn)


def test_update_in_place_keeps_identity(bench):
    before = bench.up(TWO).named("a")
    outcome = bench.up(TWO.replace("size=1", "size=2"))
    after = outcome.named("a")
    assert outcome.changes == {"same": 2, "update": 1}
    assert (after.id, after.created) == (before.id, before.created)
    assert after.modified > before.modified
    assert after.outputs["size"] == 2
    assert outcome.started("update", "a").detailed == {"size": "update"}


def test_delete_in_reverse_order_of_dependency(bench):
    bench.up('a = Thing("a")\nb = Thing("b", kind=a.made)\nc = Thing("c", opts=Opts(depends_on=[b]))\nd = Thing("d")')
    bench.calls()
    outcome = bench.up('d = Thing("d")')
    assert outcome.changes == {"same": 2, "delete": 3}
    assert [call for call in bench.calls() if call.startswith("delete ")] == ["delete c", "delete b", "delete a"]
    assert bench.things() == ["d"]


def test_destroy_leaves_nothing(bench):
    bench.up(TWO)
    outcome = bench.run("destroy")
    assert outcome.failed is None
    assert outcome.changes == {"delete": 3}
    assert outcome.ops() == ["delete b", "delete a", "delete proj-dev"]
    assert outcome.snapshot.resources == []
    assert bench.saves[-1].resources == []
    assert bench.things() == []


COMPONENT = """
class Group(pulumi.ComponentResource):
    def __init__(self, name, opts=None):
        super().__init__("test:index:Group", name, {"note": "hello"}, opts)
        self.one = Thing(name + "-one", opts=Opts(parent=self))
        self.register_outputs({"made": self.one.made, "ref": self.one})

g = Group("g")
after = Thing("after", opts=Opts(depends_on=[g]))
"""


def test_components_have_children_and_outputs(bench):
    outcome = bench.up(COMPONENT)
    group, child = outcome.named("g"), outcome.named("g-one")
    assert not group.custom
    assert group.id == ""
    assert group.outputs["made"] == "made-g-one"
    assert group.outputs["ref"].urn == child.urn
    assert group.outputs["ref"].id == child.id
    assert child.urn == "urn:pulumi:dev::proj::test:index:Group$pulumi-python:dynamic/test:Thing::g-one"
    assert child.parent == group.urn
    assert any(isinstance(e, OutputsRegistered) and e.urn == group.urn for e in outcome.events)
    assert bench.up().changes == {"same": 4}
    bench.calls()
    bench.run("destroy")
    assert [c for c in bench.calls() if c.startswith("deleted")] == ["deleted after", "deleted g-one"]


def test_independent_resources_run_at_the_same_time_and_no_more_than_allowed(bench):
    bench.program('for i in range(4):\n    Thing(f"t{i}", slow=0.4)')
    outcome = bench.up(parallel=4)
    assert outcome.changes == {"create": 5}
    calls = bench.calls()
    assert [c.split()[0] for c in calls[:4]] == ["create"] * 4, "all had begun before the first had ended"
    bench.run("destroy")
    bench.calls()
    bench.up(parallel=1)
    assert [c.split()[0] for c in bench.calls()] == ["create", "created"] * 4


def test_config_reaches_program_and_providers(bench):
    config = {"proj:region": "north", "other:token": Secret("hush"), "proj:nested": '{"a": [1]}'}
    outcome = bench.up(
        """
        c = pulumi.Config()
        a = Thing("a")
        pulumi.export("region", c.require("region"))
        pulumi.export("nested", c.require_object("nested"))
        pulumi.export("token", pulumi.Config("other").require_secret("token"))
        pulumi.export("provider_region", a.region)
        """,
        config=config,
    )
    assert outcome.outputs["region"] == "north"
    assert outcome.outputs["nested"] == {"a": [1]}
    assert outcome.outputs["token"] == Secret("hush")
    assert outcome.outputs["provider_region"] == "north"
    started = outcome.events[0]
    assert isinstance(started, Started)
    assert started.config["other:token"] == "[secret]"
    provider = next(r for r in outcome.snapshot.resources if r.is_provider)
    assert provider.inputs["other:token"] == Secret("hush")


def test_secret_inputs_and_named_outputs_stay_secret(bench):
    outcome = bench.up(
        """
        a = Thing("a", kind=pulumi.Output.secret("s"), opts=Opts(additional_secret_outputs=["made"]))
        b = Thing("b", kind=a.made, size=[{"x": pulumi.Output.secret(1)}])
        pulumi.export("made", a.made)
        """
    )
    a, b = outcome.named("a"), outcome.named("b")
    assert a.inputs["kind"] == Secret("s")
    assert a.outputs["kind"] == Secret("s")
    assert a.outputs["made"] == Secret("made-a")
    assert b.inputs["kind"] == Secret("made-a")
    assert b.outputs["size"] == Secret([{"x": 1}])
    assert outcome.outputs == {"made": Secret("made-a")}
    assert bench.up().changes == {"same": 3}


def test_what_the_program_prints_is_passed_on(bench):
    outcome = bench.up('import sys\nprint("to out")\nprint("to err", file=sys.stderr)\npulumi.log.warn("watch out")')
    shown = {(getattr(e, "stream", None), e.message) for e in outcome.events if hasattr(e, "message")}
    assert {("stdout", "to out"), ("stderr", "to err")} <= shown
    assert outcome.messages("warning") == "watch out"


def test_provider_of_the_program_own(bench):
    outcome = bench.up(
        """
        class Dynamic(pulumi.ProviderResource):
            def __init__(self, name):
                super().__init__("pulumi-python", name, {"proj:region": "own"})
        own = Dynamic("own")
        a = Thing("a", opts=Opts(provider=own))
        pulumi.export("region", a.region)
        """
    )
    provider, a = outcome.named("own"), outcome.named("a")
    assert a.provider == f"{provider.urn}::{provider.id}"
    assert outcome.outputs["region"] == "own"
    assert outcome.changes == {"create": 3}
    assert bench.up().changes == {"same": 3}
    assert bench.run("destroy").changes == {"delete": 3}
