"""Policies of every level and kind."""

import pulumi
from pulumi_policy import (
    EnforcementLevel,
    PolicyConfigSchema,
    ResourceValidationPolicy,
    Severity,
    StackValidationPolicy,
)

thing = "pulumi-python:dynamic/test:Thing"


def max_size(args, report):
    if args.resource_type == thing and args.props.get("size", 0) > args.get_config()["max"]:
        report(f"{args.name} is {int(args.props['size'])} wide")


def colour(args, report):
    if args.resource_type == thing and "colour" not in args.props:
        report("")


def token(args, report):
    if "token" in args.props:
        report(f"the token is {args.props['token']}, in the stack {pulumi.get_stack()}\nsecond line")


def source(args, report):
    if "source" in args.props and args.props["source"].startswith("made"):
        report(f"comes from {args.props['source']}")


def about(args, report):
    opts, provider = args.opts, args.provider
    known = provider and (provider.urn, provider.resource_type, provider.name, sorted(provider.props))
    report(
        " ".join(
            [
                f"{args.urn} {args.name} protect={opts.protect} ignore={list(opts.ignore_changes)}",
                f"before={opts.delete_before_replace} aliases={list(opts.aliases)} parent={opts.parent}",
                f"create={opts.custom_timeouts.create_seconds} secret={list(opts.additional_secret_outputs)}",
                f"provider={known}",
                f"keys={sorted(args.props)} project={pulumi.get_project()} dry={pulumi.runtime.is_dry_run()}",
                f"config={pulumi.Config('shelf').get('size')}",
            ]
        )
    )


def whole(args, report):
    things = [resource for resource in args.resources if resource.resource_type == thing]
    report(f"{len(args.resources)} resources: {sorted(resource.name for resource in args.resources)}")
    for resource in things:
        needs = sorted(other.name for other in resource.dependencies)
        by_property = {key: [o.name for o in some] for key, some in sorted(resource.property_dependencies.items())}
        if needs:
            report(f"needs {needs} by {by_property}, below {resource.parent.name}", resource.urn)


def made(args, report):
    for resource in args.resources:
        if resource.name == "plain" and resource.props["made"] == "made-plain":
            report("plain was made")


policies = [
    ResourceValidationPolicy(
        "max-size",
        "Things must not be too wide.",
        max_size,
        EnforcementLevel.MANDATORY,
        PolicyConfigSchema({"max": {"type": "integer", "minimum": 1, "default": 5}, "why": {"type": "string"}}),
    ),
    ResourceValidationPolicy("colour", "Things have a colour.", colour, severity=Severity.LOW),
    ResourceValidationPolicy("token", "Tokens are told.", token, severity=Severity.HIGH),
    ResourceValidationPolicy("source", "Nothing comes from a made thing.", source, EnforcementLevel.MANDATORY),
    ResourceValidationPolicy("about", "Says what it was told.", about, EnforcementLevel.DISABLED),
    StackValidationPolicy("whole", "Counts the stack.", whole, EnforcementLevel.DISABLED),
    StackValidationPolicy("made", "Plain things are not made.", made, EnforcementLevel.DISABLED),
]
