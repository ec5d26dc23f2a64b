"""Outputs of another stack on the same backend, secret ones too; 3 asks for a stack that is not there."""

import pulumi
from things import Thing, version

if pulumi.get_stack() == "base":
    pulumi.export("plain", {"size": version})
    pulumi.export("secret", pulumi.Output.secret(f"hush {version}"))
else:
    base = pulumi.StackReference("base", stack_name="organization/matrix/base")
    Thing("user", size=base.get_output("plain").apply(lambda plain: plain["size"]), text=base.require_output("secret"))
    pulumi.export("secret", base.get_output("secret"))
    pulumi.export("missing", base.get_output("missing"))
    if version == 3:
        pulumi.StackReference("organization/matrix/nothing")
