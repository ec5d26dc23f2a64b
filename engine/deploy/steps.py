"""What to do for a registration: same, create, update, replace, read, import."""

from __future__ import annotations

import threading
import uuid
from dataclasses import dataclass

from engine.deploy.bystanders import Bystanders
from engine.deploy.deletions import Deletions
from engine.deploy.execute import Executor, Step, Stopped
from engine.deploy.goals import Goal
from engine.deploy.identity import Identities, Problem
from engine.deploy.options import Options, Program
from engine.deploy.paths import differences, keep_old, with_replaces
from engine.deploy.plan import Planner
from engine.deploy.plugins import ManagedProvider, Providers, package_of, require, settings_of
from engine.deploy.policies import Policies
from engine.deploy.scope import Scope
from engine.deploy.state import State, dependencies_of, now
from engine.deploy.values import same, unknown_token
from engine.model import PropertyMap, Resource, Secret
from engine.provider import DiffResult, ProviderError


@dataclass(frozen=True)
class Answer:
    """What the program gets back."""

    urn: str
    id: str
    outputs: PropertyMap
    unknown: bool = False  # there is no such resource, nor will there be: --target left it out


class Generator:
    """Decides on steps and has them carried out, each registration on the thread that brings it."""

    def __init__(
        self,
        program: Program,
        config: dict[str, str | Secret],
        options: Options,
        state: State,
        providers: Providers,
        executor: Executor,
        deletions: Deletions,
        policies: Policies,
    ) -> None:
        self._program, self._config, self._state = program, config, state
        self._providers, self._executor, self._deletions, self._policies = providers, executor, deletions, policies
        self._identities = Identities(program, state)
        self.scope, self.planner = Scope(options), Planner(options.plan, options.planning)
        self.goals: dict[str, Goal] = {}
        self.operated: set[str] = set()
        seen = self._identities.seen
        self._bystanders = Bystanders(state, executor, self.scope, self.planner, self.operated, seen)
        self._replaced: set[str] = set()
        self._defaults: dict[str, str] = {}
        self._defaults_lock = threading.Lock()

    # Providers

    def provider_reference(self, package: str, version: str) -> str:
        """The default provider of a package, registered when it is first needed."""
        require(package)
        name = "default" + (f"_{version}" if version else "")
        name = name.replace(".", "_").replace("+", "_").replace("-", "_")
        with self._defaults_lock:
            key = f"{package} {name}"
            if key not in self._defaults:
                properties = self._package_config(package)
                answer = self.register(Goal(f"pulumi:providers:{package}", name, True, properties, version=version))
                self._defaults[key] = f"{answer.urn}::{answer.id}"
            return self._defaults[key]

    def _package_config(self, package: str) -> PropertyMap:
        """A package's own keys without the namespace; dynamic providers get everything, with it."""
        if package == "pulumi-python":
            return dict(self._config)
        prefix = f"{package}:"
        return {key.removeprefix(prefix): value for key, value in self._config.items() if key.startswith(prefix)}

    def _inherit(self, goal: Goal) -> None:
        """Options that come from the parent when the program says nothing."""
        parent = self.goals.get(goal.parent)
        if parent is not None:
            goal.deleted_with = goal.deleted_with or parent.deleted_with
            goal.protect = parent.protect if goal.protect is None else goal.protect
            goal.retain_on_delete = parent.retain_on_delete if goal.retain_on_delete is None else goal.retain_on_delete
            if not goal.custom:
                goal.providers = {**parent.providers, **goal.providers}
        if goal.custom and not goal.type.startswith("pulumi:providers:"):
            package = package_of(goal.type)
            inherited = parent.providers.get(package, "") if parent is not None and not parent.custom else ""
            explicit = goal.provider or goal.providers.get(package) or inherited
            goal.provider = explicit or self.provider_reference(package, goal.version)
        elif not goal.custom:
            goal.provider = ""  # of a component: it is passed on to its children, and not its own
        elif goal.version:
            goal.properties = {**goal.properties, "__internal": {}, "version": goal.version}

    # Registrations

    def register(self, goal: Goal) -> Answer:
        """Raises Stopped (all said), or Problem and ProviderError (to be reported)."""
        old, new = self._claim(goal)
        provider = self._providers.get(goal.provider) if goal.provider else None
        try:
            return self._advance(goal, old, new, provider)
        except ProviderError as error:
            raise Problem(str(error), new.urn) from error

    def _claim(self, goal: Goal) -> tuple[Resource | None, Resource]:
        """What a registration continues, and what it shall be."""
        self._inherit(goal)
        with self._state.lock:
            urn = self._identities.claim(goal.parent, goal.type, goal.name)
            old = self._identities.old(urn, goal)
            self.goals[urn] = goal
        return old, Resource(
            urn=urn,
            type=goal.type,
            custom=goal.custom,
            parent=goal.parent,
            inputs=goal.properties,
            provider=goal.provider,
            dependencies=goal.dependencies,
            property_dependencies=goal.property_dependencies,
            protect=bool(goal.protect),
            retain_on_delete=bool(goal.retain_on_delete),
            additional_secret_outputs=goal.additional_secret_outputs,
            custom_timeouts=goal.custom_timeouts,
            import_id=goal.import_id,
            deleted_with=goal.deleted_with,
            ignore_changes=goal.ignore_changes,
            replace_on_changes=goal.replace_on_changes,
            created=old.created if old else "",
            modified=old.modified if old else "",
            source_position=goal.source_position,
            extra={"resourceHooks": goal.hooks} if goal.hooks else {},
        )

    def _advance(self, goal: Goal, old: Resource | None, new: Resource, provider: ManagedProvider | None) -> Answer:
        imported = False
        if not self.scope.registers(new) and not (
            old is not None and (old.external or old.urn in self._deletions.urns)
        ):
            self._bystanders.leave(old, new)
            if old is None:
                return Answer(new.urn, "", {}, unknown=True)
            return Answer(old.urn, old.id, old.outputs if old.custom else {})
        if goal.custom and goal.import_id and provider is not None:
            known = (old.import_id or old.id) if old is not None else ""
            if old is None or old.external or known != goal.import_id:
                old, imported = self._import(goal, old, new, provider), True
        fresh = old is None or old.external or old.urn in self._deletions.urns or self._forced(old, new)
        new.inputs = self._check(goal, new, None if fresh else old, provider)
        self.planner.goal(new.urn, goal, old, fresh, new.inputs)
        self._govern(goal, new)
        if old is None:
            return self._finish(new, [self._create(new, provider)])
        if old.external:
            return self._finish(new, self._replacement(old, new, provider, DiffResult(True), before=False))
        diff = DiffResult(False)
        if old.urn not in self._deletions.urns:
            diff = with_replaces(self._diff(old, new, goal, provider), goal.replace_on_changes, bool(old.init_errors))
        with self._state.lock:
            self.operated.add(new.urn)
            deleted = old.urn in self._deletions.urns  # it had to go before something that it depends on
        if deleted:
            self._executor.wait_until(lambda: old.pending_replacement)
            return self._finish(new, self._recreation(old, new, provider, DiffResult(True)))
        if old.pending_replacement or (diff.changes and diff.replaces):
            return self._replace(goal, old, new, provider, diff)
        if diff.changes or old.init_errors:
            return self._finish(new, [self._update(goal, old, new, provider, diff)])
        if imported:
            return Answer(new.urn, old.id, old.outputs)
        return self._finish(new, [self._same(old, new)])

    def _check(self, goal: Goal, new: Resource, old: Resource | None, provider: ManagedProvider | None) -> PropertyMap:
        inputs = keep_old(goal.properties, old.inputs, goal.ignore_changes) if old is not None else goal.properties
        if provider is None:
            return inputs
        result = provider.check(new.urn, old.inputs if old is not None else {}, inputs)
        problems = []
        for failure in result.failures:
            where = f"property {failure.property} " if failure.property else ""
            problems.append(f"{goal.type} resource '{goal.name}': {where}has a problem: {failure.reason}")
        if problems:
            raise Problem("\n".join(problems), new.urn)
        return result.inputs

    def _govern(self, goal: Goal, new: Resource) -> None:
        self._policies.remediate(goal, new)
        if self._policies.analyze(goal, new):
            self._executor.troubled = True
            if not self._executor.preview:  # which goes on, to show what else there is
                self._executor.failed.set()
                raise Stopped

    def _diff(self, old: Resource, new: Resource, goal: Goal, provider: ManagedProvider | None) -> DiffResult:
        if self._forced(old, new):
            return DiffResult(True, ["id"])
        if new.deleted_with in self._replaced:
            return DiffResult(True, ["deletedWith"])
        if bool(old.provider) != bool(new.provider):
            return DiffResult(True, ["provider"])
        if provider is not None:
            return provider.diff(new.urn, old.id, old.inputs, old.outputs, new.inputs, goal.ignore_changes)
        if not new.is_provider:
            return DiffResult(not same(old.inputs, new.inputs), detailed=differences(old.inputs, new.inputs))
        # Another version of a provider manages the same resources.
        detailed = differences(settings_of(old.outputs), settings_of(new.inputs))
        return DiffResult(bool(detailed), detailed=detailed)

    def _forced(self, old: Resource, new: Resource) -> bool:
        return new.urn in self.scope.replace or bool(old.extra.get("taint"))

    def permit(self, steps: list[Step]) -> None:
        """Refuse, before anything is done, what needs a resource that --target left out, or is not planned."""
        for step in steps:
            for urn in sorted(dependencies_of(step.new) & self.scope.skipped) if step.new is not None else []:
                self.scope.skipped.discard(urn)
                message = f"Resource '{step.urn}' depends on '{urn}', which was not specified in --target list."
                self._executor.complain(message, step.urn)
            self.planner.step(step.op, step.urn)

    def _finish(self, new: Resource, steps: list[Step]) -> Answer:
        with self._state.lock:
            self.operated.add(new.urn)
        self.permit(steps)
        for step in steps:
            self._executor.run(step)
        self.planner.done(new)
        return Answer(new.urn, new.id, new.outputs if new.custom else {})

    # Steps

    def _same(self, old: Resource, new: Resource) -> Step:
        def apply() -> None:
            new.id, new.outputs = old.id, old.outputs
            if new.is_provider:
                self._providers.register(new, new.inputs)

        return Step("same", new.urn, old, new, apply)

    def _creation(self, new: Resource, provider: ManagedProvider | None) -> None:
        if new.is_provider:
            new.id = unknown_token if self._executor.preview else str(uuid.uuid4())
            new.outputs = {key: value for key, value in new.inputs.items() if key != "__internal"}
            self._providers.register(new, new.inputs)
        elif provider is not None:
            provider.create(new, self._executor.preview)

    def _create(self, new: Resource, provider: ManagedProvider | None) -> Step:
        return Step("create", new.urn, None, new, lambda: self._creation(new, provider))

    def _update(
        self, goal: Goal, old: Resource, new: Resource, provider: ManagedProvider | None, diff: DiffResult
    ) -> Step:
        def apply() -> None:
            new.id = old.id
            if new.is_provider:
                new.outputs = {key: value for key, value in new.inputs.items() if key != "__internal"}
                self._providers.register(new, new.inputs)
            elif provider is not None:
                provider.update(old, new, goal.ignore_changes, self._executor.preview)

        return Step("update", new.urn, old, new, apply, detailed=diff.detailed)

    def _replace(
        self, goal: Goal, old: Resource, new: Resource, provider: ManagedProvider | None, diff: DiffResult
    ) -> Answer:
        if new.protect and old.protect:
            self._executor.complain(
                f'unable to replace resource "{new.urn}"\nas it is currently marked for protection. To unprotect the '
                "resource, remove the `protect` flag from the resource in your Pulumi program and run `pulumi up`",
                new.urn,
            )
        if goal.import_id:
            message = "previously imported resources that still specify an ID may not be replaced"
            self._executor.complain(f"{message}; remove the `import` declaration from the program", new.urn)
        with self._state.lock:
            self._replaced.add(new.urn)
        # What the check took over from the old resource does not belong to the new one.
        if not self._forced(old, new):
            new.inputs = self._check(goal, new, None, provider)
        before = diff.delete_before_replace if goal.delete_before_replace is None else goal.delete_before_replace
        return self._finish(new, self._replacement(old, new, provider, diff, before))

    def _replacement(
        self, old: Resource, new: Resource, provider: ManagedProvider | None, diff: DiffResult, before: bool
    ) -> list[Step]:
        if before or old.pending_replacement:
            with self._state.lock:
                steps = self._deletions_before(old, new)
                return [*steps, *self._recreation(old, new, provider, diff)]

        def condemn() -> None:
            old.delete = True

        apply = lambda: self._creation(new, provider)  # noqa: E731
        create = Step("create-replacement", new.urn, old, new, apply, finish=condemn, supersedes=False)
        announce = Step("replace", new.urn, old, new, recorded=False)
        return _with_diff(diff, [create, announce])

    def _recreation(
        self, old: Resource, new: Resource, provider: ManagedProvider | None, diff: DiffResult
    ) -> list[Step]:
        """Steps after the old one was deleted: it stays in the state until the new one is there."""
        announce = Step("replace", new.urn, old, new, recorded=False)
        create = Step("create-replacement", new.urn, old, new, lambda: self._creation(new, provider))
        return _with_diff(diff, [announce, create])

    def _deletions_before(self, old: Resource, new: Resource) -> list[Step]:
        steps = []
        for dependent in reversed(self._deletions.dependents(old, self.operated)):
            if dependent.delete:
                steps.append(self._deletions.step(dependent, "delete-replaced"))
                continue
            if dependent.protect:
                raise Problem(
                    f'unable to replace resource "{dependent.urn}" as part of replacing "{new.urn}" as it is currently '
                    "marked for protection. To unprotect the resource, remove the `protect` flag from the resource in "
                    f"your Pulumi program and run `pulumi up`, or use `pulumi state unprotect '{dependent.urn}'`",
                    new.urn,
                )
            steps.append(self._deletions.step(dependent, "delete-replaced", pending_replacement=True))
        if not old.pending_replacement:
            steps.append(self._deletions.step(old, "delete-replaced", pending_replacement=True))
        return steps

    def _import(self, goal: Goal, old: Resource | None, new: Resource, provider: ManagedProvider) -> Resource:
        """Take over what exists; the result is the old state of what follows."""
        found = Resource(**{**vars(new), "inputs": {}, "outputs": {}})

        def apply() -> None:
            read = provider.read(new.urn, goal.import_id, {}, {})
            if not read.id:
                raise ProviderError(f"resource '{goal.import_id}' does not exist")
            if read.inputs is None:
                raise ProviderError(f"the provider of {goal.type} does not support importing resources")
            found.id, found.inputs, found.outputs = read.id, read.inputs, read.outputs

        def condemn() -> None:
            if old is not None:
                old.delete = True

        op = "import" if old is None else "import-replacement"
        self.planner.step(op, new.urn)
        self._executor.run(Step(op, new.urn, old, found, apply, finish=condemn, supersedes=False))  # type: ignore[arg-type]
        new.created, new.modified = found.created, found.modified
        return found

    # Reads

    def read(self, goal: Goal, id: str) -> Answer:
        """A resource that the program looks up (``.get``): it stands in the state, but is not managed."""
        old, new = self._claim(goal)
        urn, new.id, new.external = new.urn, id, True
        new.protect, new.retain_on_delete, new.deleted_with, new.created, new.modified = False, False, "", "", ""
        with self._state.lock:
            self.operated.add(urn)
        provider = self._providers.get(goal.provider)

        def apply() -> None:
            if id == unknown_token:
                return
            result = provider.read(urn, id, new.inputs, new.inputs)
            if not result.id:
                raise ProviderError(f"resource '{id}' does not exist")
            new.id, new.outputs = result.id, result.outputs
            if old is not None:
                unchanged = same(old.inputs, new.inputs) and same(old.outputs, new.outputs)
                new.created, new.modified = old.created, old.modified if unchanged else now()

        relinquished = old is not None and not old.external and old.id != id

        def condemn() -> None:
            if relinquished and old is not None:
                old.delete = True

        if relinquished:
            step = Step("read-replacement", urn, old, new, apply, finish=condemn, supersedes=False)
            return self._finish(new, [step, Step("replace", urn, old, new, recorded=False)])
        return self._finish(new, [Step("read", urn, old, new, apply)])


def _with_diff(diff: DiffResult, steps: list[Step]) -> list[Step]:
    for step in steps:
        step.replaces, step.detailed = diff.replaces, diff.detailed
    return steps
