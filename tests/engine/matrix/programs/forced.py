"""Replacements that only the command line asks for."""

from things import Opts, Thing, version

a = Thing("a", size=version)
b = Thing("b", kind=a.made, size=version)
Thing("c", text=b.made, opts=Opts(depends_on=[a]))
Thing("d", kind=a.made, first_delete=True)
