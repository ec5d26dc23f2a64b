import os

from pulumi_policy import PolicyPack, ResourceValidationPolicy


def die(args, report):
    if args.name == "hidden":
        os._exit(3)


PolicyPack("crash", [ResourceValidationPolicy("die", "Ends the analyzer.", die)])
