"""The image that every Python service of ours is built from, and how the others are built on it."""

from __future__ import annotations

import pulumi

from components.base import Component
from components.settings import ImageSettings


class Images(Component):
    """``berth:platform:Images``: builds ``images/service``; other components build theirs with :meth:`make`."""

    service: pulumi.Output[str]
    """Id of the services' image, for a container that needs nothing more."""

    def __init__(self, name: str, settings: ImageSettings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:platform:Images", name, opts)
        self._settings = settings
        self.service = self.image("service", settings.service, settings.base)
        self.register_outputs({"service": self.service})

    def is_local(self, name: str) -> bool:
        """Whether the image is built here; else it is the official one, with a user and tools of its own."""
        return bool(getattr(self._settings, name) == "local")

    def make(self, owner: Component, name: str) -> pulumi.Output[str]:
        """The image ``name`` as a child of ``owner``: built from ``images/<name>``, or the one the settings name."""
        source: str = getattr(self._settings, name)
        # A build finds a local image by name only.  The id is given as well, so that a new services' image
        # makes this one anew.
        local = f"{pulumi.get_project()}/service:{pulumi.get_stack()}"
        service: pulumi.Input[str] = local if self.is_local("service") else self._settings.service
        return owner.image(name, source, self._settings.base, {"SERVICE": service, "SERVICE_ID": self.service})
