"""Every image of the stack, built or pulled once, whoever uses it."""

from __future__ import annotations

from typing import Final

import pulumi

from components.base import Component
from components.settings import ImageSettings

official_gateway_user: Final = "99:99"
"""The unprivileged user of the official HAProxy image."""


class Images(Component):
    """``berth:platform:Images``: builds or pulls each image that is asked for, once."""

    service: pulumi.Output[str]
    """Id of the services' image, for a container that needs nothing more."""

    def __init__(self, name: str, settings: ImageSettings, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("berth:platform:Images", name, opts)
        self._settings = settings
        self.service = self.image("service", settings.service, settings.base)
        self._made = {"service": self.service}
        self.register_outputs({"service": self.service})

    def is_local(self, name: str) -> bool:
        """Whether the image is built here; else it is the official one, with a user and tools of its own."""
        return self._source(name) == "local"

    def make(self, name: str, on_service: bool = False) -> pulumi.Output[str]:
        """Id of the image ``name``: built from ``images/<name>``, or the one that the settings name.

        ``on_service``: the Dockerfile builds on the services' image, its build argument SERVICE.
        """
        if name not in self._made:
            args: dict[str, pulumi.Input[str]] = {}
            if on_service:
                # A build finds a local image by name only.  The id is given as well, so that a new services'
                # image makes this one anew.
                local = f"{pulumi.get_project()}/service:{pulumi.get_stack()}"
                args["SERVICE"] = local if self.is_local("service") else self._settings.service
                args["SERVICE_ID"] = self.service
            self._made[name] = self.image(name, self._source(name), self._settings.base, args)
        return self._made[name]

    def _source(self, name: str) -> str:
        source: str = getattr(self._settings, name.replace("-", "_"))
        return source
