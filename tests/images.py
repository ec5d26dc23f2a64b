"""Images that tests use, built as the stack builds them; the builder's cache outlives them."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import docker

from engine.docker.build import Build, run_build

root: Final = Path(__file__).resolve().parents[1]
_limit: Final = 900  # seconds


def built(daemon: docker.DockerClient, what: Build) -> str:
    """The id of the image, by the daemon that the client asks."""
    host = daemon.api.base_url.replace("http+docker://localhost", "unix:///var/run/docker.sock")
    return run_build(what, root, host, _limit, lambda _: None)
