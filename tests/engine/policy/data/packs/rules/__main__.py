from pulumi_policy import PolicyPack
from rules import policies

PolicyPack("rules", policies)
