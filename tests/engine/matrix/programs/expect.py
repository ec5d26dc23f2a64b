"""For ``--expect-no-changes``."""

import pulumi
from things import Thing, version

a = Thing("a", size=version)
pulumi.export("size", a.size)
