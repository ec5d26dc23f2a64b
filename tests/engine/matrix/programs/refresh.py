"""What changed behind the engine's back."""

import pulumi
from things import Opts, Thing

a = Thing("a", size=1)
b = Thing("b", text=a.made, opts=Opts(depends_on=[a]))
Thing("c", text=b.made, opts=Opts(ignore_changes=["size"]))
Thing("child", opts=Opts(parent=b))
pulumi.export("size", a.size)
