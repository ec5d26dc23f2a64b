"""A plan of 2 refuses 3 (another value) and 4 (another resource); a plan of 5 (a replacement) refuses 6 (an option)."""

import pulumi
from things import Opts, Thing, version

first = [Thing("more")] if version == 4 else None  # before all else, so that what is done by then is not chance
a = Thing(
    "a",
    size={3: 7}.get(version, min(version, 2)),
    kind="x" if version < 5 else "y",
    opts=Opts(protect=version == 6, depends_on=first),
)
secret = pulumi.Output.secret("hush" if version < 5 else "hushed")
b = Thing("b", text=a.made, secret=secret, opts=Opts(ignore_changes=["size"]))
if version == 1:
    Thing("goes", opts=Opts(depends_on=[b]))
if version == 2:
    Thing("comes", text=b.serial)
pulumi.export("made", b.made)
