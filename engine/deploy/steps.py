"""What to do for a registration: same, create, update, replace, read, import."""

from __future__ import annotations

import copy
import re
import threading
import uuid
from dataclasses import replace
from functools import partial

from pulumi.runtime.proto import resource_pb2

from engine.backend.codec import unknown_token
from engine.deploy.deletions import Deletions
from engine.deploy.execute import Executor, Step, Stopped
from engine.deploy.goals import Goal, deletes_first, refuse, resource_of
from engine.deploy.identity import Identities, Problem
from engine.deploy.options import Job
from engine.deploy.paths import differences, keep_old, with_replaces
from engine.deploy.plan import Planner
from engine.deploy.plugins import Providers, package_of, require, settings_of
from engine.deploy.policies import Policies
from engine.deploy.scope import Scope
from engine.deploy.state import State, dependencies_of, now
from engine.deploy.values import same, to_struct
from engine.events import Operation
from engine.model import PropertyMap, Resource, provider_prefix
from engine.provider import DiffResult, ProviderError

Answer = resource_pb2.RegisterResourceResponse  # ``unknown``: there is and will be none, --target left it out


def _answer(resource: Resource) -> Answer:
    outputs = to_struct(resource.outputs if resource.custom else {})
    return Answer(urn=resource.urn, id=resource.id, object=outputs)


class Generator:
    """Decides on steps and has them carried out, each registration on the thread that brings it."""

    def __init__(
        self, job: Job, state: State, providers: Providers, executor: Executor, deletions: Deletions, policies: Policies
    ) -> None:
        self._job, self._state, self._providers = job, state, providers
        self._executor, self._deletions, self._policies = executor, deletions, policies
        self._identities = Identities(job.program, state)
        self.scope, self.planner = Scope(job.options), Planner(job.options.plan, job.options.planning)
        self.goals: dict[str, Goal] = {}
        self.operated: set[str] = set()  # URNs that this operation has dealt with
        self._replaced: set[str] = set()
        self._defaults: dict[str, str] = {}
        self._defaults_lock, self._leaving = threading.Lock(), threading.RLock()

    # Providers

    def provider_reference(self, package: str, version: str) -> str:
        """The default provider of a package, registered when it is first needed."""
        require(package)
        name = re.sub(r"[.+-]", "_", f"default_{version}" if version else "default")
        with self._defaults_lock:
            key = f"{package} {name}"
            if key not in self._defaults:
                type, settings = f"{provider_prefix}{package}", to_struct(self._package_config(package))
                answer = self.register(Goal(type=type, name=name, custom=True, object=settings, version=version))
                self._defaults[key] = f"{answer.urn}::{answer.id}"
            return self._defaults[key]

    def _package_config(self, package: str) -> PropertyMap:
        """A package's own keys without the namespace; dynamic providers get everything, with it."""
        prefix = "" if package == "pulumi-python" else f"{package}:"
        return {k.removeprefix(prefix): value for k, value in self._job.config.items() if k.startswith(prefix)}

    def _inherit(self, goal: Goal) -> None:
        """Options that come from the parent when the program says nothing."""
        parent = self.goals.get(goal.parent)
        if parent is not None:
            goal.deletedWith = goal.deletedWith or parent.deletedWith
            for name in ("protect", "retainOnDelete"):
                if parent.HasField(name) and not goal.HasField(name):
                    setattr(goal, name, getattr(parent, name))
            if not goal.custom:
                for package, reference in parent.providers.items():
                    goal.providers[package] = goal.providers.get(package) or reference
        if not goal.custom:
            goal.provider = ""  # of a component: it is passed on to its children, and not its own
        elif not goal.type.startswith(provider_prefix):
            package = package_of(goal.type)
            inherited = parent.providers.get(package, "") if parent is not None and not parent.custom else ""
            explicit = goal.provider or goal.providers.get(package) or inherited
            goal.provider = explicit or self.provider_reference(package, goal.version)

    # Registrations

    def register(self, goal: Goal) -> Answer:
        """Raises Stopped (all said), or Problem and what reading the goal raises (to be reported)."""
        refuse(goal)
        old, new = self._claim(goal)
        self._providers.of(new)  # there has to be one
        try:
            return self._advance(goal, old, new)
        except ProviderError as error:
            raise Problem(str(error), new.urn) from error

    def _claim(self, goal: Goal) -> tuple[Resource | None, Resource]:
        """What a registration continues, and what it shall be."""
        self._inherit(goal)
        with self._state.lock:
            urn = self._identities.claim(goal.parent, goal.type, goal.name)
            old = self._identities.old(urn, goal)
            self.goals[urn] = goal
        return old, self._asked(goal, urn, old)

    def _asked(self, goal: Goal, urn: str, old: Resource | None) -> Resource:
        return resource_of(goal, urn, str(self._job.program.root), old)

    def _advance(self, goal: Goal, old: Resource | None, new: Resource) -> Answer:
        gone = old is not None and old.urn in self._deletions.urns
        left_out = not self.scope.registers(new) and not (gone or (old is not None and old.external))
        imported = False
        if goal.importId and goal.custom and not new.is_provider:
            known = (old.import_id or old.id) if old is not None else ""
            if old is None or old.external or known != goal.importId:
                old, imported = self._import(old, new), True  # whatever the targets are, as the CLI does
        if left_out:
            return self._leave(old, new)
        fresh = old is None or old.external or old.urn in self._deletions.urns or self._forced(old, new)
        self._check(None if fresh else old, new)
        self.planner.goal(goal, new, old, fresh)
        self._govern(goal, new)
        if old is None:
            return self._finish(new, [Step("create", None, new, partial(self._create, new))])
        if old.external:
            return self._finish(new, self._replacement(old, new, DiffResult(True), before=False))
        diff = DiffResult(False)
        if old.urn not in self._deletions.urns:
            diff = with_replaces(self._diff(old, new), new.replace_on_changes, bool(old.init_errors))
        with self._state.lock:
            self.operated.add(new.urn)
            gone = old.urn in self._deletions.urns  # it had to go before something that it depends on
        if gone:
            self._executor.wait_until(lambda: old.pending_replacement)
            return self._finish(new, self._replacement(old, new, DiffResult(True), before=True))
        if old.pending_replacement or (diff.changes and diff.replaces):
            return self._replace(goal, old, new, diff)
        if diff.changes or old.init_errors:
            return self._finish(new, [Step("update", old, new, partial(self._update, old, new), diff)])
        if imported:
            return _answer(old)
        return self._finish(new, [Step("same", old, new, partial(self._keep, old, new))])

    def _check(self, old: Resource | None, new: Resource) -> None:
        if old is not None:
            new.inputs = keep_old(new.inputs, old.inputs, new.ignore_changes)
        provider = self._providers.of(new)
        if provider is None:
            return
        result = provider.check(old, new)
        problems = []
        for failure in result.failures:
            where = f"property {failure.property} " if failure.property else ""
            problems.append(f"{new.type} resource '{new.name}': {where}has a problem: {failure.reason}")
        if problems:
            raise Problem("\n".join(problems), new.urn)
        new.inputs = result.inputs

    def _govern(self, goal: Goal, new: Resource) -> None:
        self._policies.remediate(goal, new)
        if self._policies.analyze(goal, new):
            self._executor.troubled = True
            if not self._executor.preview:  # which goes on, to show what else there is
                self._executor.failed.set()
                raise Stopped

    def _diff(self, old: Resource, new: Resource) -> DiffResult:
        if self._forced(old, new):
            return DiffResult(True, ["id"])
        if new.deleted_with in self._replaced:
            return DiffResult(True, ["deletedWith"])
        if bool(old.provider) != bool(new.provider):
            return DiffResult(True, ["provider"])
        if provider := self._providers.of(new):
            return provider.diff(old, new)
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
        return _answer(new)

    # What --target leaves alone

    def _leave(self, old: Resource | None, new: Resource) -> Answer:
        """What exists stays the same, under its old URN when a new one would come from an alias; else nothing is."""
        if old is None:
            self.scope.skipped.add(new.urn)
            self._executor.run(Step("same", copy.copy(new), new, recorded=False))
            return Answer(urn=new.urn, unknown=True)
        with self._leaving:
            if old.urn not in self.operated:
                self._stay(old)
            self._identities.seen.add(old.urn)
        return _answer(old)

    def _stay(self, old: Resource) -> None:
        """Also what it depends on, which the program may no longer have: that has to stand before it in the state."""
        with self._state.lock:
            self._state.aliases.pop(old.urn, None)
            self.operated.add(old.urn)
            needed = [self._state.olds.get(urn) for urn in sorted(dependencies_of(old) - self.operated)]
        for other in needed:
            if other is not None and self._state.aliases.get(other.urn, other.urn) not in self.operated:
                self._stay(other)
        self.planner.step("same", old.urn)
        self._executor.run(Step("same", old, copy.copy(old)))

    # Steps

    def _keep(self, old: Resource, new: Resource) -> None:
        new.id, new.outputs = old.id, old.outputs
        if new.is_provider:
            self._providers.register(new)

    def _create(self, new: Resource) -> None:
        if new.is_provider:
            new.id = unknown_token if self._executor.preview else str(uuid.uuid4())
            self._provide(new)
        elif provider := self._providers.of(new):
            provider.create(new)

    def _update(self, old: Resource, new: Resource) -> None:
        new.id = old.id
        if new.is_provider:
            self._provide(new)
        elif provider := self._providers.of(new):
            provider.update(old, new)

    def _provide(self, new: Resource) -> None:
        new.outputs = {key: value for key, value in new.inputs.items() if key != "__internal"}
        self._providers.register(new)

    def _replace(self, goal: Goal, old: Resource, new: Resource, diff: DiffResult) -> Answer:
        if new.protect and old.protect:
            self._executor.complain(
                f'unable to replace resource "{new.urn}"\nas it is currently marked for protection. To unprotect the '
                "resource, remove the `protect` flag from the resource in your Pulumi program and run `pulumi up`",
                new.urn,
            )
        if new.import_id:
            message = "previously imported resources that still specify an ID may not be replaced"
            self._executor.complain(f"{message}; remove the `import` declaration from the program", new.urn)
        with self._state.lock:
            self._replaced.add(new.urn)
        if not self._forced(old, new):
            # What the check took over from the old resource does not belong to the new one.
            new.inputs = self._asked(goal, new.urn, old).inputs
            self._check(None, new)
        asked = deletes_first(goal)
        before = diff.delete_before_replace if asked is None else asked
        steps = []
        if before or old.pending_replacement:
            with self._state.lock:
                before, steps = True, self._deletions.before(old, new, self.operated)
        return self._finish(new, [*steps, *self._replacement(old, new, diff, before)])

    def _replacement(self, old: Resource, new: Resource, diff: DiffResult, before: bool) -> list[Step]:
        """``before``: the old one was deleted first, and stays in the state until the new one is there."""
        announce = Step("replace", old, new, diff=diff, recorded=False)
        create = Step("create-replacement", old, new, partial(self._create, new), diff)
        create.marks = "" if before else "delete"
        return [announce, create] if before else [create, announce]

    def _import(self, old: Resource | None, new: Resource) -> Resource:
        """Take over what exists; the result is the old state of what follows."""
        found = replace(new, inputs={}, outputs={})

        def apply() -> None:
            read = self._providers.get(new.provider).read(replace(found, id=new.import_id))
            if not read.id:
                raise ProviderError(f"resource '{new.import_id}' does not exist")
            if read.inputs is None:
                raise ProviderError(f"the provider of {new.type} does not support importing resources")
            found.id, found.inputs, found.outputs = read.id, read.inputs, read.outputs

        op: Operation = "import" if old is None else "import-replacement"
        steps = [Step(op, old, found, apply, marks="delete")]
        if old is not None:
            steps.append(Step("replace", old, found, recorded=False))
        for step in steps:
            self.planner.step(step.op, new.urn)
            self._executor.run(step)
        new.created, new.modified = found.created, found.modified
        return found

    # Reads

    def read(self, goal: Goal, id: str) -> Answer:
        """A resource that the program looks up (``.get``): it stands in the state, but is not managed."""
        old, new = self._claim(goal)
        new.id, new.external, new.property_dependencies = id, True, {}
        new.protect, new.retain_on_delete, new.deleted_with, new.created, new.modified = False, False, "", "", ""
        with self._state.lock:
            self.operated.add(new.urn)
        provider = self._providers.get(new.provider)

        def apply() -> None:
            if id == unknown_token:
                return
            result = provider.read(replace(new, outputs=new.inputs))
            if not result.id:
                raise ProviderError(f"resource '{id}' does not exist")
            new.id, new.outputs = result.id, result.outputs
            if old is not None:
                unchanged = same(old.inputs, new.inputs) and same(old.outputs, new.outputs)
                new.created, new.modified = old.created, old.modified if unchanged else now()

        if old is not None and not old.external and old.id != id:  # no longer managed
            step = Step("read-replacement", old, new, apply, marks="delete")
            return self._finish(new, [step, Step("replace", old, new, recorded=False)])
        return self._finish(new, [Step("read", old, new, apply)])
