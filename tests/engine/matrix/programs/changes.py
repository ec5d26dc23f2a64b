"""What an option alone changes; differences that are left out; values that are easily mistaken for each other."""

import pulumi
from things import Group, Opts, Thing, version

# Only the option changes, from one version to the next.
host = Thing("host")
Thing("becomes-secret", opts=Opts(additional_secret_outputs=["serial"] if version > 1 else None))
Thing("becomes-protected", opts=Opts(protect=version == 2))
Thing("becomes-retained", opts=Opts(retain_on_delete=version > 1))
Thing("gets-timeouts", opts=Opts(custom_timeouts=pulumi.CustomTimeouts(create="5m") if version > 1 else None))
Thing("gets-host", opts=Opts(deleted_with=host if version > 1 else None))
Thing("gets-dependency", opts=Opts(depends_on=[host] if version > 1 else None))
moves = Group("moves") if version > 1 else None
Thing("ignores-all", size=version, text="gone" if version == 1 else None, opts=Opts(ignore_changes=["*"]))
Thing("ignores-gone", **({"text": "x"} if version == 1 else {}), opts=Opts(ignore_changes=["text"]))
Thing("ignores-new", **({"text": "x"} if version > 1 else {}), opts=Opts(ignore_changes=["text"]))
Thing("ignores-items", list=[{"a": version, "b": 1}, {"a": 2, "b": version}], opts=Opts(ignore_changes=["list[*].a"]))
Thing("ignores-key", map={"x.y": version, "z": version}, opts=Opts(ignore_changes=['map["x.y"]']))

# What a change of kind or of secrecy is, and is not.
values = {
    1: {"n": 1, "f": 0.1, "big": 2**53, "none": None, "empty": {}, "list": [], "text": "é\n\u2028\\", "yes": True},
    2: {"n": 1.0, "f": 0.1, "big": 2**53, "empty": {}, "list": [], "text": "é\n\u2028\\", "yes": True},
    3: {"n": "1", "f": 1e-7, "big": 1e21, "empty": [], "list": {}, "text": "e\u0301", "yes": "true"},
}
Thing("values", vague=True, nested=values[version], keyed={"a b": 1, "a.b": version, "*": [None, [None]]})
plain = {"a": "hush", "b": ["hush"]}
Thing("secrecy", vague=True, secret=pulumi.Output.secret(plain) if version == 2 else plain)
closed = pulumi.Output.secret("hush")
Thing("inner", vague=True, nested={"open": 1, "closed": closed, "list": [pulumi.Output.secret(1)]})
pulumi.export("nothing", None)
pulumi.export("inner", {"plain": 1, "closed": closed})
pulumi.export("thing", host)
