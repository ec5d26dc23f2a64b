from pulumi_policy import EnforcementLevel, PolicyConfigSchema, PolicyPack, ResourceValidationPolicy

thing = "pulumi-python:dynamic/test:Thing"


def owner(args):
    if args.resource_type == thing:
        return {**args.props, "owner": args.get_config()["owner"]}
    return None


def sign(args):
    if args.resource_type == thing:
        args.props["signed"] = f"by {args.props['owner']}"
        return args.props
    return None


def shout(args):
    if "source" in args.props:
        args.props["source"] = args.props["source"].upper()
        return args.props
    return None


def small(args, report):
    if args.props.get("size") == 3:
        report("three is no size")


PolicyPack(
    "mend",
    [
        ResourceValidationPolicy(
            "owner",
            "Things have an owner.",
            remediate=owner,
            config_schema=PolicyConfigSchema({"owner": {"type": "string", "enum": ["anna", "bert"]}}, ["owner"]),
        ),
        ResourceValidationPolicy("sign", "Owners sign.", remediate=sign),
        ResourceValidationPolicy("shout", "Sources are loud.", remediate=shout),
        ResourceValidationPolicy("small", "Sizes are odd.", small, remediate=lambda args: None),
    ],
    enforcement_level=EnforcementLevel.REMEDIATE,
)
