"""What became of a creation whose end nobody saw: the object is taken over, or cleared away to be made anew.

An object is known to be the resource's own by a label whose value is the resource's URN (whatever its key), or by
a name that only the check can have made up.  Anybody else's object is left alone.
"""

from __future__ import annotations

from urllib.parse import quote

from engine.docker import compare, schema
from engine.docker.bridged import Bridged
from engine.docker.client import Json
from engine.docker.container import Container
from engine.docker.network import Network
from engine.docker.volume import Volume
from engine.model import PropertyMap
from engine.provider import Found, Log, PartialFailure

_never = "0001-01-01T00:00:00Z"
_places = {Container.token: "/containers/{}/json", Network.token: "/networks/{}", Volume.token: "/volumes/{}"}


def recover(kind: Bridged, urn: str, inputs: PropertyMap, known: set[str], log: Log) -> Found | None:
    """As :class:`engine.provider.Provider.recover` says; what cannot be gone on with is removed."""
    shown = own(kind, urn, inputs)
    id = str(shown.get("Id", shown["Name"])) if shown else ""
    if shown is None or id in known:
        return None
    found = kind.read(id, inputs, inputs)
    assert found.inputs is not None
    if kind.token == Container.token:
        # Networks and files come before the start; what comes after it, an update does.
        if shown["State"]["StartedAt"] != _never and not kind.diff(found.inputs, inputs).replaces:
            raise PartialFailure("its start was not seen to the end", id, found.outputs, found.inputs)
    elif kind.token == Volume.token or not _different(kind, id, inputs):
        return Found(id, found.outputs)
    clear(kind, shown, inputs, log)
    return None


def own(kind: Bridged, urn: str, inputs: PropertyMap) -> Json | None:
    """The object that has the resource's name and is its own, as the daemon shows it."""
    name, place = str(inputs.get("name", "")), _places.get(kind.token)
    shown = kind.client.find(place.format(quote(name, safe=""))) if name and place else None
    if shown is None or shown["Name"].lstrip("/") != name:  # the daemon also takes the beginning of an id
        return None
    labels = (shown["Config"] if kind.token == Container.token else shown).get("Labels") or {}
    return shown if urn in labels.values() or "name" in inputs.get(schema.DEFAULTS, []) else None


def clear(kind: Bridged, shown: Json, inputs: PropertyMap, log: Log) -> None:
    """Remove what was made in part, or otherwise than it is asked for now."""
    log("info", f"removing {inputs['name']}, which an interrupted operation had begun to make", False)
    kind.remove(str(shown["Id"]), {**inputs, "destroyGraceSeconds": 0}, kind.default_seconds, log)


def _different(kind: Bridged, id: str, inputs: PropertyMap) -> bool:
    live = kind.live(id, inputs)
    return live is None or bool(compare.diff(kind.fields, compare.read_inputs(kind.fields, inputs, live), inputs))
