"""Replacement: create before delete (2), delete before replace with dependents (3)."""

import pulumi
from things import Opts, Thing, version

kind = "xyz"[version - 1]
root = Thing("root", kind=kind, opts=Opts(delete_before_replace=version == 3 or None))
child = Thing("child", kind=root.made)  # has to be replaced with it
Thing("grandchild", kind=child.made)
Thing("updated", text=root.made)
Thing("after", opts=Opts(depends_on=[root]))
Thing("provider-wants", kind=kind, first_delete=True)
Thing("refuses", kind=kind, first_delete=True, opts=Opts(delete_before_replace=False))
pulumi.export("root", root.made)
