from pulumi_policy import PolicyPack, ResourceValidationPolicy


def fail(args, report):
    if args.name == "hidden":
        raise ValueError("this policy has a mistake")


PolicyPack("raises", [ResourceValidationPolicy("fail", "Fails.", fail)])
