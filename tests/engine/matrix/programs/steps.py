"""Same, create, update, delete; a component, dependencies of both kinds, outputs."""

import pulumi
from things import Group, Opts, Thing, version

a = Thing("a", size=version)
group = Group("group", props={"version": version})
inside = Thing(
    "inside", size=a.serial, nested={"list": [1, version, None], "map": {"x": a.made}}, opts=Opts(parent=group)
)
group.register_outputs({"made": inside.made, "version": version})
if version == 1:
    Thing("b", text=a.made, opts=Opts(depends_on=[group]))
else:
    Thing("d", number=1.5, secret=pulumi.Output.secret("hush"), opts=Opts(depends_on=[inside]))
Thing("loner", opts=Opts(parent=a))
pulumi.export("made", inside.made)
pulumi.export("version", version)
pulumi.export("secret", pulumi.Output.secret({"deep": "hush"}))
