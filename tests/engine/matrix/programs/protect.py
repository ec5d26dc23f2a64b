"""Protected: removed (2), replaced (3), unprotected and replaced at once (4); inherited from a component."""

from things import Group, Opts, Thing, version

group = Group("group", opts=Opts(protect=version < 4))
inside = Thing("inside", size=version, opts=Opts(parent=group))
exempt = Thing("exempt", opts=Opts(parent=group, protect=False))
if version != 2:
    options = Opts(protect=version < 4, depends_on=[inside, exempt])
    Thing("guarded", kind="new" if version >= 3 else "old", opts=options)
