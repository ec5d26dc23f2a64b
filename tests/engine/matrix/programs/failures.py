"""A failing create (1), update (3), delete (4 with a stuck world) and program (5); what had been done stays done."""

import pulumi
from things import Opts, Thing, version

first = Thing("first", size=version)
before = [first]
if version < 4:
    before.append(Thing("goes", opts=Opts(depends_on=[first])))
fails = Thing("fails", fail="no way" if version in (1, 3) else None, opts=Opts(depends_on=before))
Thing("after", size=version, opts=Opts(depends_on=[fails]))
pulumi.export("made", first.made)
pulumi.export("version", version)
if version == 5:
    raise RuntimeError("the program is broken")
