"""What is asked for is worked on, the rest stays (2: everything changes, ``new`` comes, ``gone`` goes)."""

from things import Group, Opts, Thing, version

a = Thing("a", size=version)
b = Thing("b", text=a.made, size=version)
Thing("after-b", size=version, opts=Opts(depends_on=[b]))
Thing("c", size=version)
group = Group("group")
Thing("inside", size=version, opts=Opts(parent=group))
if version == 1:
    Thing("gone")
else:
    new = Thing("new")
    Thing("user", text=new.made)
