"""``docker:index/remoteImage:RemoteImage``: an image that is there already, or is pulled.

The id is the image's own id followed by the name, as in the bridged provider.
"""

from __future__ import annotations

from urllib.parse import quote

from engine.docker.bridged import Bridged
from engine.docker.client import Client, DaemonError, Json
from engine.docker.schema import BOOLEAN, STRING, STRING_SET, TEXT_MAP, Object, Property
from engine.model import PropertyMap
from engine.provider import Log, ProviderError

pull_seconds = 20 * 60.0

FIELDS = (
    Property("name", STRING, required=True),
    Property("keepLocally", BOOLEAN, change="update"),
    Property("forceRemove", BOOLEAN, change="update"),
    Property("pullTriggers", STRING_SET),
    Property("triggers", TEXT_MAP),
    Property("platform", STRING),
    Property("imageId", STRING, output=True),
    Property("repoDigest", STRING, output=True),
    Property("build", Object(()), output=True),  # not to be set with this engine: Image builds
)


class RemoteImage(Bridged):
    token = "docker:index/remoteImage:RemoteImage"
    fields = FIELDS
    meta = (
        '{"e2bfb730-ecaa-11e6-8f88-34363bc7c4c0":'
        '{"create":1200000000000,"delete":1200000000000,"update":1200000000000}}'
    )
    default_seconds = pull_seconds

    def make(self, inputs: PropertyMap, seconds: float, log: Log) -> str:
        shown = ensure_image(self.client, str(inputs["name"]), str(inputs.get("platform", "")), seconds, log)
        return str(shown["Id"]) + str(inputs["name"])

    def live(self, id: str, inputs: PropertyMap) -> PropertyMap | None:
        name = str(inputs.get("name") or _name_of(id))
        shown = find_image(self.client, name)
        if shown is None:
            return None
        return {"name": name, "imageId": shown["Id"], "repoDigest": repo_digest(name, shown)}

    def new_id(self, id: str, live: PropertyMap) -> str:
        return str(live["imageId"]) + str(live["name"])

    def change(self, id: str, olds: PropertyMap, news: PropertyMap, seconds: float, log: Log) -> None:
        ensure_image(self.client, str(news["name"]), str(news.get("platform", "")), seconds, log)

    def remove(self, id: str, inputs: PropertyMap, seconds: float, log: Log) -> None:
        if inputs.get("keepLocally"):
            return
        name = str(inputs["name"])
        query = {"force": "true"} if inputs.get("forceRemove") else {}
        try:
            self.client.call("DELETE", f"/images/{quote(name, safe='/:@')}", query=query)
        except DaemonError as error:
            if error.status == 404:
                return
            advice = "remove what uses it first, or set keepLocally" if error.status == 409 else "run again"
            raise ProviderError(f"image {name} cannot be removed: {error.message}. What to do: {advice}.") from error


def _name_of(id: str) -> str:
    """The name in an id of the form ``sha256:<64 hex>name``; an id to import may be just the name."""
    return id[71:] if id.startswith("sha256:") and len(id) > 71 else id


def find_image(client: Client, name: str) -> Json | None:
    return client.find(f"/images/{quote(name, safe='/:@')}/json")


def ensure_image(client: Client, name: str, platform: str, seconds: float, log: Log) -> Json:
    """The image by that name; a local one counts, otherwise it is pulled."""
    shown = find_image(client, name)
    if shown is None:
        if name.startswith("sha256:"):
            raise ProviderError(
                f"there is no image {name} here, and an image cannot be pulled by its id: build it first"
            )
        log("info", f"pulling {name}", True)
        client.pull(name, platform, lambda line: log("info", line, True), seconds)
        shown = find_image(client, name)
    if shown is None:
        raise ProviderError(f"image {name} was pulled but is not there; it may have been removed meanwhile")
    return shown


def repo_digest(name: str, shown: Json) -> str:
    """The digest under which a registry knows the image; empty for one that was only ever local."""
    plain = name.split("@", 1)[0]
    repository = plain.rsplit(":", 1)[0] if ":" in plain.rsplit("/", 1)[-1] else plain
    digests: list[str] = shown.get("RepoDigests") or []
    return next((digest for digest in digests if digest.split("@", 1)[0] == repository), "")
