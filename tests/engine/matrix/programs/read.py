"""Looked up, not managed (1); then managed (2); then given up again (3)."""

import pulumi
from things import Opts, Thing, version

there = Thing("there", size=9) if version == 2 else Thing("there", opts=Opts(id="there-1"))
Thing("user", size=there.size, text=there.made)
pulumi.export("made", there.made)
