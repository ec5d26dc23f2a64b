"""A provider that tells, with what it read, which inputs that means; a look at what deletion would do."""

import pulumi
from things import Opts, Telling, Thing, version

a = Telling("a", size=1)
b = Telling("b", size=version, text=a.made)
Telling("c", size=1, opts=Opts(ignore_changes=["size"]))
Thing("keeps", text=b.made, opts=Opts(retain_on_delete=True))
pulumi.export("size", a.size)
