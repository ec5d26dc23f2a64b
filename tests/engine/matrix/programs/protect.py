"""Protected: removed (2), replaced (3), unprotected and replaced at once (4); inherited from a component."""

from things import Group, Opts, Thing, version

if version != 2:
    Thing("guarded", kind="new" if version >= 3 else "old", opts=Opts(protect=version < 4))
group = Group("group", opts=Opts(protect=version < 4))
Thing("inside", size=version, opts=Opts(parent=group))
Thing("exempt", opts=Opts(parent=group, protect=False))
