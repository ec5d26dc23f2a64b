"""``docker:index/network:Network``."""

from __future__ import annotations

import time

from engine.docker.bridged import Bridged, NameTaken
from engine.docker.client import DaemonError, Json
from engine.docker.places import place, take
from engine.docker.schema import (
    BOOLEAN,
    LABELS,
    STRING,
    TEXT_MAP,
    Listing,
    Object,
    Property,
    is_zero,
    labels_from_map,
    labels_to_map,
)
from engine.model import PropertyMap
from engine.provider import Log, ProviderError

detach_seconds = 15.0

_IPAM_CONFIG = Object(
    (
        Property("subnet", STRING, at="Subnet"),
        Property("ipRange", STRING, at="IPRange"),
        Property("gateway", STRING, at="Gateway"),
        Property("auxAddress", TEXT_MAP, at="AuxiliaryAddresses"),
    )
)


def _configs_to(configs: list[PropertyMap]) -> list[Json]:
    return [{row.at: c[row.name] for row in _IPAM_CONFIG.fields if not is_zero(c.get(row.name))} for c in configs]


def _configs_back(configs: list[Json] | None) -> list[PropertyMap]:
    return [
        {row.name: c.get(row.at) or ({} if row.type is TEXT_MAP else "") for row in _IPAM_CONFIG.fields}
        for c in configs or []
    ]


FIELDS = (
    Property("name", STRING, autonamed=True, at="Name"),
    Property("labels", LABELS, at="Labels", to=labels_to_map, back=labels_from_map),
    Property("driver", STRING, computed=True, at="Driver"),
    Property("options", TEXT_MAP, computed=True, at="Options"),
    Property("internal", BOOLEAN, computed=True, at="Internal"),
    Property("attachable", BOOLEAN, at="Attachable"),
    Property("ingress", BOOLEAN, at="Ingress"),
    Property("ipv6", BOOLEAN, at="EnableIPv6"),
    Property("ipamDriver", STRING, default="default", at="IPAM.Driver"),
    Property("ipamOptions", TEXT_MAP, at="IPAM.Options"),
    Property(
        "ipamConfigs", Listing(_IPAM_CONFIG, unordered=True), raw="ipam_config", computed=True, at="IPAM.Config",
        to=_configs_to, back=_configs_back,
    ),
    Property("scope", STRING, output=True, at="Scope"),
)  # fmt: skip


class Network(Bridged):
    token = "docker:index/network:Network"
    fields = FIELDS
    meta = '{"schema_version":"1"}'
    drifting = frozenset()  # a network is fixed for as long as its id stands

    def make(self, inputs: PropertyMap, seconds: float, log: Log) -> str:
        body = place(FIELDS, inputs)
        try:
            answer = self.client.call("POST", "/networks/create", {**body, "CheckDuplicate": True})
        except DaemonError as error:
            problem = NameTaken if error.status == 409 else ProviderError
            raise problem(_create_problem(str(inputs["name"]), inputs, error)) from error
        return str(answer["Id"])

    def live(self, id: str, inputs: PropertyMap) -> PropertyMap | None:
        shown = self.client.find(f"/networks/{id}")
        return None if shown is None else take(FIELDS, shown)

    def change(self, id: str, olds: PropertyMap, news: PropertyMap, seconds: float, log: Log) -> None:
        """Nothing to do: every property is replaced, so this only follows a creation that was cut short."""

    def remove(self, id: str, inputs: PropertyMap, seconds: float, log: Log) -> None:
        deadline = time.monotonic() + min(seconds, detach_seconds)
        while True:
            try:
                self.client.call("DELETE", f"/networks/{id}")
                return
            except DaemonError as error:
                if error.status == 404:
                    return
                if "active endpoints" not in error.message:
                    raise ProviderError(
                        f"network {inputs.get('name', id)} cannot be removed: {error.message}"
                    ) from error
                # Containers that were just removed leave their endpoints behind for a moment.
                if time.monotonic() > deadline:
                    raise ProviderError(
                        f"network {inputs.get('name', id)} cannot be removed: still attached: {self._attached(id)}. "
                        "What to do: disconnect or remove them, then run again."
                    ) from error
            log("info", "waiting for containers to leave the network", True)
            time.sleep(0.25)

    def _attached(self, id: str) -> str:
        shown = self.client.find(f"/networks/{id}") or {}
        return ", ".join(sorted(entry["Name"] for entry in (shown.get("Containers") or {}).values())) or "unknown"


def _create_problem(name: str, inputs: PropertyMap, error: DaemonError) -> str:
    if error.status == 409:
        advice = f"remove it (docker network rm {name}) or give this one another name"
        return f"a network named {name} exists already and is not in this stack's state. What to do: {advice}."
    if "overlaps" in error.message:
        wanted = ", ".join(str(config.get("subnet", "?")) for config in inputs.get("ipamConfigs", [])) or "automatic"
        advice = "choose another subnet, or remove the network that has it (docker network ls)"
        return f"network {name} cannot have the subnet {wanted}: {error.message}. What to do: {advice}."
    return f"network {name} cannot be created: {error.message}"
