"""Imports of real volumes: as they are (1), not as they are (2), of another one (3), of none (4), no more one (5)."""

import pulumi
import pulumi_docker as docker
from things import Opts, Thing, mark, version

prefix = mark
labels = [docker.VolumeLabelArgs(label="berth.test", value="imports")]
Thing("other", size=version)
one = docker.Volume("one", name=f"{prefix}-one", opts=Opts(import_=f"{prefix}-one" if version < 5 else None))
name = {2: "two", 3: "three", 5: "three"}.get(version, "none")
if version in (2, 3, 5):
    importing = Opts(import_=f"{prefix}-{name}" if version < 5 else None)
    docker.Volume("two", name=f"{prefix}-{name}", opts=importing)
if version == 4:
    docker.Volume("none", name=f"{prefix}-none", opts=Opts(import_=f"{prefix}-none"))
if version == 6:
    docker.Volume("differs", name=f"{prefix}-differs", labels=labels, opts=Opts(import_=f"{prefix}-two"))
if version == 7:
    docker.Volume("left-out", name=f"{prefix}-left", labels=labels, opts=Opts(import_=f"{prefix}-left"))
pulumi.export("one", one.name)
