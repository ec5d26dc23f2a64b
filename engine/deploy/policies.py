"""What the policy packs of an operation have to say: remedies first, then violations, of the stack in the end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Literal

from pulumi.runtime.proto import analyzer_pb2

from engine.backend.codec import fields
from engine.deploy.analyzer import Analyzer
from engine.deploy.goals import Goal, deletes_first
from engine.deploy.options import Job
from engine.deploy.policyconfig import levels
from engine.deploy.state import provider_urn
from engine.deploy.values import by_id, from_struct, mark_like, to_struct
from engine.events import Remediation, Violation
from engine.masking import masker
from engine.model import PropertyMap, Resource, Secret, mapped, parts
from engine.provider import ProviderError

_told: Final = ("protect", "parent", "ignoreChanges", "additionalSecretOutputs", "aliases")


class Policies:
    """``find`` gives a resource by URN, as far as it is registered."""

    def __init__(self, job: Job, find: Callable[[str], Resource | None]) -> None:
        self._job, self._find = job, find
        self._analyzers: list[Analyzer] = []
        self.packs: tuple[tuple[str, str, str], ...] = ()  # name, version and path, once all are loaded

    def load(self, engine: str) -> None:
        """Start all packs and give them their settings.  Raises ProviderError, its message all that is wrong."""
        for pack in self._job.options.policy_packs:
            self._analyzers.append(Analyzer(pack, self._job, engine))
        if problems := sorted(text for analyzer in self._analyzers for text in analyzer.load()):
            raise ProviderError("\n".join(problems))
        self.packs = tuple((each.name, each.version, each.path) for each in self._analyzers)

    def remediate(self, goal: Goal, new: Resource) -> None:
        """Change the inputs of ``new`` as the packs want them, each pack seeing what the one before it made."""
        for analyzer in self._analyzers:
            request = analyzer_pb2.AnalyzeRequest(**self._described(new, goal, _portable(new.inputs)))
            for remedy in analyzer.remediate(request):
                known = (new.urn, analyzer.name, analyzer.version, remedy.policyName)
                if remedy.diagnostic:
                    self._job.emit(Violation(*known, "advisory", "", remedy.diagnostic))
                    continue
                # What was a secret stays one: a policy that copies properties gets, and gives back, plain values.
                after = mark_like(from_struct(remedy.properties), new.inputs)
                self._job.emit(Remediation(*known, before=new.inputs, after=after))
                new.inputs = after

    def analyze(self, goal: Goal, new: Resource) -> bool:
        """Report violations; whether there was a mandatory one."""
        if not self._analyzers:
            return False
        request = analyzer_pb2.AnalyzeRequest(**self._described(new, goal, _portable(new.inputs, "__")))
        return self._report(lambda analyzer: analyzer.analyze(request), lambda _: new.urn, [new.inputs])

    def analyze_stack(self, goals: dict[str, Goal], resources: list[Resource], root: str) -> bool:
        """Report violations of the whole, at its end; whether there was a mandatory one."""
        if not self._analyzers:
            return False
        messages = []
        for each in resources:
            about = self._described(each, goals.get(each.urn, Goal()), _portable(each.outputs, "__"))
            message = analyzer_pb2.AnalyzerResource(**about, parent=each.parent, dependencies=each.dependencies)
            for key, urns in each.property_dependencies.items():
                if urns:
                    message.propertyDependencies[key].urns.extend(urns)
            messages.append(message)
        known = {each.urn for each in resources}
        seen = [each.outputs for each in resources]
        return self._report(lambda each: each.analyze_stack(messages), lambda urn: urn if urn in known else root, seen)

    def close(self) -> None:
        for analyzer in self._analyzers:
            analyzer.close()

    def _described(self, new: Resource, goal: Goal, properties: PropertyMap) -> dict[str, Any]:
        """The fields that the requests about one resource have in common."""
        options = analyzer_pb2.AnalyzerResourceOptions(
            **{name: value for name, value in fields(new).items() if name in _told},
            customTimeouts=analyzer_pb2.AnalyzerResourceOptions.CustomTimeouts(**new.custom_timeouts),
            deleteBeforeReplace=goal.deleteBeforeReplace,
            deleteBeforeReplaceDefined=deletes_first(goal) is not None,
        )
        provider = self._find(provider_urn(new.provider)) if new.provider else None
        message = {**_about(new, properties), "options": options}
        if provider is not None:
            about = _about(provider, _portable(provider.inputs, "__"))
            message["provider"] = analyzer_pb2.AnalyzerProviderResource(**about)
        return message

    def _report(
        self, ask: Callable[[Analyzer], list[Any]], place: Callable[[str], str], seen: list[PropertyMap]
    ) -> bool:
        """Secrets in what the packs have ``seen`` are masked in what they say."""
        secrets = [part for part in parts(seen) if isinstance(part, Secret)]
        mask = masker(text for secret in secrets for text in parts(secret.value) if isinstance(text, str))
        mandatory = False
        for analyzer in self._analyzers:
            for each in ask(analyzer):
                # A violation that a remedy left behind, or that has none, stops as a mandatory one does.
                advisory = levels[each.enforcementLevel] == "advisory"
                level: Literal["advisory", "mandatory"] = "advisory" if advisory else "mandatory"
                mandatory = mandatory or not advisory
                known = (place(each.urn), analyzer.name, analyzer.version, each.policyName)
                self._job.emit(Violation(*known, level, analyzer.severity(each), mask(each.message)))
        return mandatory


def _about(resource: Resource, properties: PropertyMap) -> dict[str, Any]:
    about = {"type": resource.type, "urn": resource.urn, "name": resource.name}
    return {**about, "properties": to_struct(properties)}


def _portable(value: Any, skip: str = "") -> Any:
    """As packs understand values: secrets are marked, an id stands for a resource."""

    def understood(leaf: Any) -> Any:
        return Secret(_portable(leaf.value, skip)) if isinstance(leaf, Secret) else by_id(leaf)

    return mapped(value, understood, skip)
