import pulumi
from things import Thing

config = pulumi.Config()


class Box(pulumi.ComponentResource):
    def __init__(self, name):
        super().__init__("test:shelf:Box", name, {"wide": True})
        self.register_outputs({"full": False})


box = Box("box")
plain = Thing("plain", size=config.get_int("size") or 3, colour="red", opts=pulumi.ResourceOptions(parent=box))
# One after the other, so that what was made before a violation is the same in each run.
hidden = Thing(
    "hidden",
    size=1,
    token=config.require_secret("token"),
    nested={"list": [1, "two", None], "on": True},
    opts=pulumi.ResourceOptions(depends_on=[plain]),
)
Thing(
    "second",
    source=plain.made,
    opts=pulumi.ResourceOptions(
        depends_on=[hidden], ignore_changes=["colour"], custom_timeouts=pulumi.CustomTimeouts(create="2m")
    ),
)
pulumi.export("made", plain.made)
