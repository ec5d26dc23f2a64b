"""New names, parents and types for what stays (2), and without the aliases once they have served (3)."""

from pulumi import ROOT_STACK_RESOURCE, Alias
from things import Group, Opts, Other, Thing, version


def aliased(*aliases, **options):
    return Opts(aliases=list(aliases) if version == 2 else None, **options)


if version == 1:
    a = Thing("a")
    group = Group("group")
    Thing("group-inside", opts=Opts(parent=group))
    Thing("typed", label="typed")
    Thing("loose")
    old_home = Group("old-home")
    Thing("moving", opts=Opts(parent=old_home))
    Thing("by-urn", size=1)
else:
    a = Thing("renamed", label="a", opts=aliased(Alias(name="a")))
    group = Group("team", opts=aliased(Alias(name="group")))
    Thing("team-inside", label="group-inside", opts=Opts(parent=group))
    Other("typed", opts=aliased(Alias(type_="pulumi-python:dynamic/test:Thing")))
    Thing("loose", opts=aliased(Alias(parent=ROOT_STACK_RESOURCE), parent=group))
    old_home = Group("old-home")
    new_home = Group("new-home")
    Thing("moving", opts=aliased(Alias(parent=old_home), parent=new_home))
    Thing(
        "new-urn",
        label="by-urn",
        size=version,
        opts=aliased("urn:pulumi:dev::matrix::pulumi-python:dynamic/test:Thing::by-urn"),
    )
Thing("user", text=a.made, opts=Opts(depends_on=[a, group]))
