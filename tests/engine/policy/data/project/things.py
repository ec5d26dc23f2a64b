"""A dynamic resource that keeps nothing: its outputs are its inputs and ``made``."""

from pulumi import Output, dynamic


class ThingProvider(dynamic.ResourceProvider):
    def create(self, props):
        return dynamic.CreateResult(f"id-{props['label']}", {**props, "made": f"made-{props['label']}"})

    def update(self, id, olds, news):
        return dynamic.UpdateResult({**news, "made": olds["made"]})


class Thing(dynamic.Resource, module="test", name="Thing"):
    made: Output[str]

    def __init__(self, name, opts=None, **props):
        super().__init__(ThingProvider(), name, {"label": name, **props, "made": None}, opts)
