"""What the policy packs of an operation have to say: remedies first, then violations, of the stack in the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal

from pulumi.runtime.proto import analyzer_pb2

from engine.deploy.analyzer import Analyzer
from engine.deploy.goals import Goal
from engine.deploy.options import Job
from engine.deploy.policyconfig import levels
from engine.deploy.state import provider_urn
from engine.deploy.values import from_struct, mark_like, to_struct
from engine.events import Remediation, Violation
from engine.masking import masker
from engine.model import PropertyMap, Reference, Resource, Secret
from engine.provider import ProviderError


class Policies:
    """``find`` gives a resource by URN, as far as it is registered."""

    def __init__(self, job: Job, find: Callable[[str], Resource | None]) -> None:
        self._job, self._emit, self._find = job, job.emit, find
        self._analyzers: list[Analyzer] = []
        self.packs: tuple[tuple[str, str, str], ...] = ()  # name, version and path, once all are loaded

    def load(self, engine: str) -> None:
        """Start all packs and give them their settings.  Raises ProviderError, its message all that is wrong."""
        self._analyzers = [Analyzer(pack, self._job) for pack in self._job.options.policy_packs]
        for analyzer in self._analyzers:
            analyzer.start(engine)
        problems = sorted(text for analyzer in self._analyzers for text in analyzer.load(engine))
        if problems:
            raise ProviderError("\n".join(problems))
        self.packs = tuple((each.name, each.version, each.path) for each in self._analyzers)

    def remediate(self, goal: Goal, new: Resource) -> None:
        """Change the inputs of ``new`` as the packs want them, each pack seeing what the one before it made."""
        for analyzer in self._analyzers:
            request = analyzer_pb2.AnalyzeRequest(**self._described(new, goal, _portable(new.inputs)))
            for remedy in analyzer.remediate(request):
                known = (analyzer.name, analyzer.version, remedy.policyName)
                if remedy.diagnostic:
                    self._emit(Violation(new.urn, *known, "advisory", "", remedy.diagnostic))
                    continue
                # What was a secret stays one: a policy that copies properties gets, and gives back, plain values.
                after = mark_like(from_struct(remedy.properties), new.inputs)
                self._emit(Remediation(new.urn, *known, before=new.inputs, after=after))
                new.inputs = after

    def analyze(self, goal: Goal, new: Resource) -> bool:
        """Report violations; whether there was a mandatory one."""
        if not self._analyzers:
            return False
        request = analyzer_pb2.AnalyzeRequest(**self._described(new, goal, _portable(new.inputs, internal=False)))
        mask = masker(_secrets(new.inputs))
        found = [self._report(each, each.analyze(request), lambda _: new.urn, mask) for each in self._analyzers]
        return any(found)

    def analyze_stack(self, goals: dict[str, Goal], resources: Iterable[Resource], root: str) -> bool:
        """Report violations of the whole, at its end; whether there was a mandatory one."""
        if not self._analyzers:
            return False
        urns: set[str] = set()
        messages: list[Any] = []
        secrets: list[str] = []
        for each in resources:
            urns.add(each.urn)
            secrets += _secrets(each.outputs)
            needs = {key: some for key, some in each.property_dependencies.items() if some}
            messages.append(
                analyzer_pb2.AnalyzerResource(
                    **self._described(each, goals.get(each.urn, Goal()), _portable(each.outputs, internal=False)),
                    parent=each.parent,
                    dependencies=each.dependencies,
                    propertyDependencies={
                        key: analyzer_pb2.AnalyzerPropertyDependencies(urns=some) for key, some in needs.items()
                    },
                )
            )

        def place(urn: str) -> str:
            return urn if urn in urns else root

        mask = masker(secrets)
        found = [self._report(each, each.analyze_stack(messages), place, mask) for each in self._analyzers]
        return any(found)

    def close(self) -> None:
        for analyzer in self._analyzers:
            analyzer.close()

    def _described(self, new: Resource, goal: Goal, properties: PropertyMap) -> dict[str, Any]:
        """The fields that the requests about one resource have in common."""
        options = analyzer_pb2.AnalyzerResourceOptions(
            protect=new.protect,
            ignoreChanges=new.ignore_changes,
            deleteBeforeReplace=goal.deleteBeforeReplace,
            deleteBeforeReplaceDefined=goal.deleteBeforeReplaceDefined or goal.deleteBeforeReplace,
            additionalSecretOutputs=new.additional_secret_outputs,
            aliases=new.aliases,
            customTimeouts=analyzer_pb2.AnalyzerResourceOptions.CustomTimeouts(**new.custom_timeouts),
            parent=new.parent,
        )
        provider = self._find(provider_urn(new.provider)) if new.provider else None
        fields = {"type": new.type, "urn": new.urn, "name": new.name, "properties": to_struct(properties)}
        if provider is not None:
            fields["provider"] = analyzer_pb2.AnalyzerProviderResource(
                type=provider.type,
                urn=provider.urn,
                name=provider.name,
                properties=to_struct(_portable(provider.inputs, internal=False)),
            )
        return {**fields, "options": options}

    def _report(
        self, analyzer: Analyzer, diagnostics: list[Any], place: Callable[[str], str], mask: Callable[[str], str]
    ) -> bool:
        mandatory = False
        for each in diagnostics:
            # A violation that a remedy left behind, or that has none, stops as a mandatory one does.
            level: Literal["advisory", "mandatory"]
            level = "advisory" if levels[each.enforcementLevel] == "advisory" else "mandatory"
            mandatory = mandatory or level == "mandatory"
            known = (analyzer.name, analyzer.version, each.policyName)
            self._emit(Violation(place(each.urn), *known, level, analyzer.severity(each), mask(each.message)))
        return mandatory


def _portable(value: Any, *, internal: bool = True) -> Any:
    """As packs understand values: secrets are marked, an id stands for a resource, ``__keys`` only if ``internal``."""
    if isinstance(value, dict):
        return {k: _portable(v, internal=internal) for k, v in value.items() if internal or not k.startswith("__")}
    if isinstance(value, list):
        return [_portable(item, internal=internal) for item in value]
    if isinstance(value, Secret):
        return Secret(_portable(value.value, internal=internal))
    if isinstance(value, Reference):
        return value.urn if value.id is None else value.id
    return value


def _secrets(value: Any, marked: bool = False) -> Iterator[str]:
    """Texts inside of secrets."""
    if isinstance(value, Secret):
        yield from _secrets(value.value, True)
    elif isinstance(value, (dict, list)):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _secrets(item, marked)
    elif marked and isinstance(value, str):
        yield value
