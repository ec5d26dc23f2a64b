"""Real volumes: import, read, an explicit provider, a change that replaces; 3 reads what is not there."""

import pulumi
import pulumi_docker as docker
from things import Opts, Thing, mark, version

prefix = mark
labels = [docker.VolumeLabelArgs(label="berth.test", value="matrix" if version == 1 else "matrix-2")]
found = docker.Volume.get("found", f"{prefix}-read")
if version < 3:
    provider = docker.Provider("explicit", host="unix:///var/run/docker.sock")
    options = Opts(provider=provider, delete_before_replace=True)
    own = docker.Volume("own", name=f"{prefix}-own", labels=labels, opts=options)
    imported = docker.Volume("imported", name=f"{prefix}-imported", opts=Opts(import_=f"{prefix}-imported"))
    Thing("user", text=found.driver, own=own.name)
    pulumi.export("name", imported.name)
