"""Options that change what is done or what is recorded, each on a resource of its own."""

import pulumi
from things import Group, Opts, Thing, version

Thing(
    "ignored",
    nested={"x": version, "y": 1, "list": [version, 2]},
    opts=Opts(ignore_changes=["nested.x", "nested.list[0]"]),
)
Thing("by-change", size=version, text="t", opts=Opts(replace_on_changes=["size"]))
for vague in (False, True):  # a provider that only says "compare the inputs" has its differences known by path
    on_change = Opts(replace_on_changes=["deep.*.b"])
    Thing(f"deep-{vague}", vague=vague, deep={"a": {"b": version}, "c": 1}, opts=on_change)
Thing("elsewhere", vague=True, deep={"a": {"b": 1}, "c": version}, opts=Opts(replace_on_changes=["deep.*.b"]))
secret = Thing("secret", size=version, opts=Opts(additional_secret_outputs=["serial"]))
Thing("uses-secret", size=secret.serial)
Thing("slow", opts=Opts(custom_timeouts=pulumi.CustomTimeouts(create="1m", update="90s", delete="1h30m")))
host = Thing("host", kind=str(version))
Thing("guest", size=1, opts=Opts(deleted_with=host))
group = Group("group", opts=Opts(retain_on_delete=True))
if version < 3:
    Thing("kept", kind=str(version), opts=Opts(parent=group))
Thing("not-kept", kind=str(version), opts=Opts(parent=group, retain_on_delete=False))
Thing(
    "any-change",
    vague=True,
    size=1 if version == 1 else None,
    opts=Opts(replace_on_changes=["*"] if version == 2 else None),
)
pulumi.export("secret", secret.serial)
