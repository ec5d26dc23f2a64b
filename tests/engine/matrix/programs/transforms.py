"""Transforms of the resource itself, of its parent and of the stack, in that order, of properties and of options."""

import pulumi
from pulumi import ResourceOptions, ResourceTransformArgs, ResourceTransformResult
from things import Group, Opts, Thing, version


def add(**more):
    def transform(args: ResourceTransformArgs):
        if not args.custom:
            return None
        trail = [*(args.props.get("trail") or []), *more]
        return ResourceTransformResult({**args.props, **more, "trail": trail}, args.opts)

    return transform


def guard(args: ResourceTransformArgs):
    opts = ResourceOptions(protect=False, ignore_changes=["size"], additional_secret_outputs=["serial"])
    return ResourceTransformResult(args.props, ResourceOptions.merge(args.opts, opts))


async def later(args: ResourceTransformArgs):
    if args.name == "untouched":
        return None
    return ResourceTransformResult({**args.props, "stack": version} if args.custom else args.props, args.opts)


def legacy(args: pulumi.ResourceTransformationArgs):
    return pulumi.ResourceTransformationResult({**args.props, "legacy": True}, args.opts)


pulumi.runtime.register_resource_transform(later)
first = Thing("first", size=version, secret=pulumi.Output.secret("hush"))
group = Group("group", opts=Opts(transforms=[add(parent=version)]))
Thing("inside", text=first.made, opts=Opts(parent=group, transforms=[add(own=1), guard], depends_on=[first]))
Thing("inside-too", size=version, opts=Opts(parent=group))
Thing("guarded", size=version, opts=Opts(transforms=[guard], transformations=[legacy]))
Thing("untouched", size=1)
pulumi.export("made", first.made)
