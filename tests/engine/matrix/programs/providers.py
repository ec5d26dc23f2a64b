"""Explicit providers: inherited from a component (1), with other settings (2), another one (3), the default one (4)."""

import pulumi_docker as docker
from things import Group, Opts, mark, version

prefix, path = f"{mark}-providers", "/run/docker.sock" if version == 2 else "/var/run/docker.sock"
inherited = own = None
if version < 4:
    given = docker.Provider("explicit" if version < 3 else "other", host=f"unix://{path}")
    inherited, own = Opts(providers=[given]), Opts(provider=given)
group = Group("group", opts=inherited)
below = Group("below", opts=Opts(parent=group))
docker.Volume("inherits", name=f"{prefix}-inherits", opts=Opts(parent=below, delete_before_replace=True))
docker.Volume("own", name=f"{prefix}-own", opts=Opts.merge(own, Opts(delete_before_replace=True)))
docker.Volume("default", name=f"{prefix}-default")
