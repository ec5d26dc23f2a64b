"""The policy pack; built only here, because building it starts its server."""

from pulumi_policy import PolicyPack
from rules import containers, network, secrets

PolicyPack("berth", [*secrets.policies, *containers.policies, *network.policies])
