"""``docker:index/volume:Volume``; the id of a volume is its name."""

from __future__ import annotations

import json
import time
from urllib.parse import quote

from engine.docker.bridged import Bridged
from engine.docker.client import DaemonError
from engine.docker.compare import normal_property
from engine.docker.places import place, take
from engine.docker.schema import LABELS, STRING, TEXT_MAP, Object, Property, labels_from_map, labels_to_map
from engine.model import PropertyMap
from engine.provider import Log, ProviderError

release_seconds = 10.0

FIELDS = (
    Property("name", STRING, autonamed=True, at="Name"),
    Property("labels", LABELS, at="Labels", to=labels_to_map, back=labels_from_map),
    Property("driver", STRING, computed=True, at="Driver"),
    Property("driverOpts", TEXT_MAP, at="DriverOpts"),
    Property("mountpoint", STRING, output=True, at="Mountpoint"),
    Property("cluster", Object(()), output=True),  # of cluster volumes, which cannot be made with this engine
)


class Volume(Bridged):
    token = "docker:index/volume:Volume"
    fields = FIELDS
    meta = '{"schema_version":"1"}'

    def make(self, inputs: PropertyMap, seconds: float, log: Log) -> str:
        name = str(inputs["name"])
        # The daemon hands out an existing volume as if it had made it.  One that was kept on purpose (same
        # labels and driver) is taken back with its data; anybody else's is not.
        existing = self.live(name, inputs)
        if existing is not None:
            different = [row.name for row in FIELDS if not row.output and not _same(row, inputs, existing)]
            if different:
                raise ProviderError(
                    f"a volume named {name} exists already and is another one (it differs in {', '.join(different)}). "
                    f"What to do: remove it with its data (docker volume rm {name}) or give this one another name."
                )
            log("info", f"volume {name} exists already with the same labels: its data is kept", False)
            return name
        try:
            answer = self.client.call("POST", "/volumes/create", place(FIELDS, inputs))
        except DaemonError as error:
            raise ProviderError(f"volume {name} cannot be created: {error.message}") from error
        return str(answer["Name"])

    def live(self, id: str, inputs: PropertyMap) -> PropertyMap | None:
        shown = self.client.find(f"/volumes/{quote(id, safe='')}")
        return None if shown is None else take(FIELDS, {**shown, "DriverOpts": shown.get("Options") or {}})

    def change(self, id: str, olds: PropertyMap, news: PropertyMap, seconds: float, log: Log) -> None:
        """Nothing to do: every property is replaced, so this only follows a creation that was cut short."""

    def remove(self, id: str, inputs: PropertyMap, seconds: float, log: Log) -> None:
        deadline = time.monotonic() + min(seconds, release_seconds)
        while True:
            try:
                self.client.call("DELETE", f"/volumes/{quote(id, safe='')}")
                return
            except DaemonError as error:
                if error.status == 404:
                    return
                if "in use" not in error.message:
                    raise ProviderError(f"volume {id} cannot be removed: {error.message}") from error
                if time.monotonic() > deadline:
                    raise ProviderError(
                        f"volume {id} cannot be removed: in use by {self._users(id)}. "
                        "What to do: remove those containers, then run again."
                    ) from error
            log("info", "waiting for containers to release the volume", True)
            time.sleep(0.25)

    def _users(self, name: str) -> str:
        filters = json.dumps({"volume": [name]})
        found = self.client.call("GET", "/containers/json", query={"all": "true", "filters": filters})
        return ", ".join(sorted(entry["Names"][0].lstrip("/") for entry in found)) or "a container"


def _same(row: Property, inputs: PropertyMap, live: PropertyMap) -> bool:
    wanted = normal_property(row, inputs.get(row.name))
    return (wanted is None and row.computed) or wanted == normal_property(row, live.get(row.name))
