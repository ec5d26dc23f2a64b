"""What the programs are made of: things that are files in ``world/``, and the version that is asked for."""

import json
import os
import pathlib

import pulumi
from pulumi.dynamic import CreateResult, DiffResult, ReadResult, Resource, ResourceProvider, UpdateResult

version = int(os.environ["MATRIX_VERSION"])
mark = os.environ["MATRIX_MARK"]  # what the names on the daemon begin with, which others use too
here = pathlib.Path(__file__).parent
world = here / "world"
Opts = pulumi.ResourceOptions


def note(text):
    with (here / "calls.log").open("a") as file:
        file.write(text + "\n")


def plain(properties):
    return {key: value for key, value in properties.items() if key != "__provider"}


class ThingProvider(ResourceProvider):
    """``kind`` cannot be changed in place.  Ids are ``<label>-1``, ``<label>-2``, ...; ``made`` comes from the id."""

    def diff(self, id, olds, news):
        if news.get("vague"):
            return DiffResult()
        olds = {key: value for key, value in olds.items() if key in news or key not in ("made", "serial")}
        changed = sorted(key for key in {*olds, *news} if olds.get(key) != news.get(key) and key != "__provider")
        return DiffResult(bool(changed), [key for key in changed if key == "kind"], [], bool(news.get("first_delete")))

    def create(self, props):
        note(f"{props['label']}: create")
        if props.get("fail"):
            raise ValueError(props["fail"])
        count = len(list(world.glob(f".{props['label']}-*"))) + 1
        id = f"{props['label']}-{count}"
        (world / f".{id}").touch()
        (world / id).write_text(json.dumps(plain(props)))
        return CreateResult(id, {**props, "made": f"made {id}", "serial": count})

    def update(self, id, olds, news):
        note(f"{news['label']}: update")
        if news.get("fail"):
            raise ValueError(news["fail"])
        (world / id).write_text(json.dumps(plain(news)))
        return UpdateResult({**news, "made": olds["made"], "serial": olds["serial"]})

    def read(self, id, props):
        note(f"{id}: read")
        if not (world / id).exists():
            return ReadResult("", {})
        real = json.loads((world / id).read_text())
        return ReadResult(id, {**props, **real, "made": f"made {id}", "serial": int(id.rsplit("-", 1)[1])})

    def delete(self, id, props):
        note(f"{id}: delete")
        if (world / "stuck").exists():
            raise RuntimeError("it is stuck")
        (world / id).unlink(missing_ok=True)


class Thing(Resource, module="test", name="Thing"):
    made: pulumi.Output[str]
    serial: pulumi.Output[int]
    size: pulumi.Output[int]

    def __init__(self, name, opts=None, **props):
        super().__init__(
            ThingProvider(), name, {"label": name, "size": None, **props, "made": None, "serial": None}, opts
        )


class TellingProvider(ThingProvider):
    """Says what the inputs would have to be for what it found to be wanted."""

    def read(self, id, props):
        found = super().read(id, props)
        if found.id:
            found.inputs = {key: value for key, value in found.outs.items() if key in plain(props)}
            found.inputs |= {"made": None, "serial": None}
        return found


class Telling(Resource, module="test", name="Telling"):
    made: pulumi.Output[str]
    size: pulumi.Output[int]

    def __init__(self, name, opts=None, **props):
        super().__init__(
            TellingProvider(), name, {"label": name, "size": None, **props, "made": None, "serial": None}, opts
        )


class Other(Resource, module="test", name="Other"):
    """The same with another type."""

    made: pulumi.Output[str]

    def __init__(self, name, opts=None, **props):
        super().__init__(
            ThingProvider(), name, {"label": name, "size": None, **props, "made": None, "serial": None}, opts
        )


class Group(pulumi.ComponentResource):
    def __init__(self, name, opts=None, props=None):
        super().__init__("test:index:Group", name, props or {}, opts)
