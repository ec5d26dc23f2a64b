"""Replacements that stop half-way: the new one cannot be made (2, 3), the old one cannot go (4); a name twice (5)."""

from things import Opts, Thing, version

fail = "no way" if version == 2 else None
first = Thing("first", kind=str(min(version, 2)), fail=fail, opts=Opts(delete_before_replace=True))
below = Thing("below", kind=first.made)
beside = Thing("beside", text=first.made)
last = Thing("last", kind="old" if version < 4 else "new", opts=Opts(depends_on=[below, beside]))
after = Thing("after", text=last.made)
if version == 5:
    Thing("last", opts=Opts(depends_on=[after]))
