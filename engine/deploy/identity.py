"""Which old resource a registration continues: by URN, by its aliases, by its parent's aliases."""

from __future__ import annotations

from pulumi.runtime.proto import alias_pb2

from engine.deploy.goals import Goal, aliases_of, make_urn
from engine.deploy.options import Program
from engine.deploy.state import State
from engine.model import Resource, type_stack


class Problem(Exception):
    """The program asks for something impossible; the message is for people, ``urn`` is what it is about."""

    def __init__(self, message: str, urn: str = "") -> None:
        super().__init__(message)
        self.urn = urn


def _type_and_name(urn: str) -> tuple[str, str]:
    _, _, types, name = urn.split("::", 3)
    return types.rsplit("$", 1)[-1], name


class Identities:
    """URNs that this operation has met.  Call with the state locked."""

    def __init__(self, program: Program, state: State) -> None:
        self._program, self._state = program, state
        self.seen: set[str] = set()
        self._alias_of: dict[str, str] = {}  # new URN -> the old URN it was found under

    def claim(self, parent: str, type: str, name: str) -> str:
        """The URN of a new registration, which must be the first of its kind."""
        if parent and parent not in self.seen:
            raise Problem(f"could not find parent resource {parent}")
        urn = make_urn(self._program.stack, self._program.project, parent, type, name)
        if urn in self.seen:
            raise Problem(f"Duplicate resource URN '{urn}'; try giving it a unique name", urn)
        if urn in self._state.aliases:
            raise Problem(f"Duplicate resource URN '{urn}' conflicting with alias on {self._state.aliases[urn]}", urn)
        self.seen.add(urn)
        return urn

    def old(self, urn: str, goal: Goal) -> Resource | None:
        olds = self._state.olds
        for candidate in [urn, *self._candidates(goal)]:
            found = olds.get(candidate)
            if found is None:
                continue
            if candidate == urn:
                return found
            other = candidate if candidate in self.seen else self._state.aliases.get(candidate)
            if other:
                raise Problem(
                    f"Duplicate resource alias '{candidate}' applied to resource with URN '{urn}' "
                    f"conflicting with resource with URN '{other}'",
                    urn,
                )
            self._state.aliases[candidate] = urn
            self._alias_of[urn] = candidate
            return found
        return None

    def _candidates(self, goal: Goal) -> list[str]:
        own = [self._collapse(goal, alias) for alias in aliases_of(goal)]
        parent_alias = self._alias_of.get(goal.parent)
        if parent_alias is None:
            return own
        inherited = []
        parent_name = goal.parent.rsplit("::", 1)[-1]
        for type, name in [(goal.type, goal.name), *map(_type_and_name, own)]:
            if name.startswith(parent_name):
                # Children are by convention named after their parent, so they were renamed with it.
                name = parent_alias.rsplit("::", 1)[-1] + name[len(parent_name) :]
            inherited.append(make_urn(self._program.stack, self._program.project, parent_alias, type, name))
        return list(dict.fromkeys([*own, *inherited]))

    def _collapse(self, goal: Goal, alias: alias_pb2.Alias) -> str:
        if alias.urn:
            return alias.urn
        was = alias.spec
        parent = self._alias_of.get(was.parentUrn, was.parentUrn) if was.parentUrn else goal.parent
        if was.noParent or (parent and parent.split("::")[2].endswith(type_stack)):
            parent = ""
        stack, project = was.stack or self._program.stack, was.project or self._program.project
        return make_urn(stack, project, parent, was.type or goal.type, was.name or goal.name)
