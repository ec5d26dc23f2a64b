"""Several endpoints of one chain, called as one: what they say of one block has to agree.

With a quorum of one, the first endpoint that answers is believed, and the next is asked where it does not.  With more,
each question goes to all, the answer is what so many of them give alike, and the head is the newest block that so many
know: an endpoint that lies, or lags, is outvoted, named and counted.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, as_completed, wait
from typing import Any, Final

from berth.chain.endpoint import Endpoint
from berth.chain.errors import AnswerTooLarge, BlockGone, CallFailed, ChainError, ChainUnreachable, WrongChain
from berth.kit.logging import get_logger

_tags: Final = ("latest", "safe", "finalized")
_at_once: Final = 4  # questions to one member
_most_open: Final = 8  # questions that one member has not answered yet
_grace: Final = 0.25  # seconds that slower members have to name a newer block

Report = Callable[[str], None]
"""Gets the URL of an endpoint that disagreed."""


class Quorum(Endpoint):
    """``members``, of which ``needed`` have to agree; called like one endpoint.

    Errors: as :class:`~berth.chain.endpoint.Endpoint`; ChainUnreachable where too few agree, naming each.
    """

    def __init__(self, members: Sequence[Endpoint], needed: int = 1, report: Report = lambda url: None) -> None:
        if not 1 <= needed <= len(members):
            raise ValueError(f"a quorum of {needed} cannot be had from {len(members)} endpoints")
        super().__init__(
            members[0].target if len(members) == 1 else ", ".join(m.target for m in members), members[0].chain_id
        )
        self.url = ", ".join(member.url for member in members)
        self.members, self.needed = tuple(members), needed
        self._report = report
        self._preferred = 0
        self._checked = False
        # For each its own: one that hangs must not keep the threads that ask the others.
        self._workers = {m: ThreadPoolExecutor(_at_once, "quorum") for m in members} if needed > 1 else {}
        self._open: dict[Endpoint, set[Future[Any]]] = {member: set() for member in members}
        self._blamed: set[str] = set()
        self._log = get_logger("quorum")

    @property
    def preferred(self) -> Endpoint:
        """The endpoint that answered last, where one is enough."""
        return self.members[self._preferred]

    def request(self, method: str, *params: Any) -> Any:
        if self.needed == 1:
            return self._first(method, params)
        if method == "eth_getBlockByNumber" and params and params[0] in _tags:
            return self._newest(params[0])
        return self._agreed(method, params, self.members)

    def check_chain(self) -> None:
        """WrongChain where an endpoint serves another chain; those that do not answer are passed over.

        Asks until enough have answered once: who comes back later is asked before its first answer is believed.
        """
        if self._checked:
            return
        answered = 0
        problem: ChainError | None = None
        for member in self.members:
            try:
                member.check_chain()
                answered += 1
            except WrongChain:
                raise
            except ChainError as error:
                problem = error
        if answered < self.needed and problem is not None:
            raise problem
        self._checked = True

    # ------------------------------------------------------------------ one is enough

    def _first(self, method: str, params: Sequence[Any]) -> Any:
        problem: ChainError | None = None
        for step in range(len(self.members)):
            position = (self._preferred + step) % len(self.members)
            try:
                answer = _believed(self.members[position], method, *params)
            except (ChainUnreachable, BlockGone) as error:
                problem = problem or error
                continue
            if position != self._preferred:
                self._log.warning("another endpoint is asked", endpoint=self.members[position].url, reason=str(problem))
                self._preferred = position
            return answer
        assert problem is not None
        raise problem

    # ------------------------------------------------------------------ several have to agree

    def _agreed(self, method: str, params: Sequence[Any], members: Sequence[Endpoint]) -> Any:
        """What ``needed`` of ``members`` answer alike; those that are late are not waited for."""
        asked = {self._ask(member, method, *params): member for member in members}
        votes: dict[str, list[tuple[Endpoint, Any]]] = {}
        for done in as_completed(asked):
            member = asked[done]
            try:
                answer = done.result()
            except ChainError as error:
                answer = error
            ballot = votes.setdefault(_essence(method, answer), [])
            ballot.append((member, answer))
            if len(ballot) >= self.needed and not isinstance(answer, ChainUnreachable):
                self._settle(votes, ballot, method)
                if isinstance(answer, ChainError):
                    raise answer
                return answer
        large = any(isinstance(answer, AnswerTooLarge) for ballot in votes.values() for _, answer in ballot)
        raise (AnswerTooLarge if large else ChainUnreachable)(
            f"no {self.needed} of {len(self.members)} endpoints agree on {method}: {_told(votes)}. Nothing was changed"
        )

    def _ask(self, member: Endpoint, method: str, *params: Any) -> Future[Any]:
        """One question to one member; refused at once where too many are open there already."""
        waiting = self._open[member]
        waiting.difference_update([one for one in tuple(waiting) if one.done()])
        if len(waiting) >= _most_open:
            refused: Future[Any] = Future()
            refused.set_exception(ChainUnreachable(f"{member.url} has not answered {len(waiting)} questions yet"))
            return refused
        asked = self._workers[member].submit(_believed, member, method, *params)
        waiting.add(asked)
        return asked

    def _enough(self, asked: Collection[Future[Any]]) -> Iterator[Future[Any]]:
        """The answers as they come; once ``needed`` are there, the others have a moment left."""
        left, answered, until = set(asked), 0, None
        while left:
            wait_for = None if until is None else max(until - time.monotonic(), 0)
            done, left = wait(left, wait_for, FIRST_COMPLETED)
            yield from done
            answered += sum(one.exception() is None for one in done)
            if not done:
                return
            if answered >= self.needed and until is None:
                until = time.monotonic() + _grace

    def _settle(self, votes: dict[str, list[tuple[Endpoint, Any]]], winners: list[Any], method: str) -> None:
        """Names those whose answers are others, each once until it agrees again."""
        agreeing = {member.url for member, _ in winners}
        self._blamed -= agreeing
        for ballot in votes.values():
            for member, answer in ballot:
                if member.url in agreeing or isinstance(answer, ChainUnreachable):
                    continue
                self._report(member.url)
                if member.url not in self._blamed:
                    self._blamed.add(member.url)
                    self._log.warning("an endpoint disagrees with the quorum", endpoint=member.url, method=method)

    def _newest(self, tag: str) -> Any:
        """The newest block at ``tag`` that ``needed`` endpoints know."""
        asked = {self._ask(m, "eth_getBlockByNumber", tag, False): m for m in self.members}
        heights: list[tuple[int, Endpoint]] = []
        problems: list[str] = []
        for done in self._enough(asked):
            member = asked[done]
            try:
                found = done.result()
                heights.append((int(found["number"], 16), member))
            except ChainError as error:
                problems.append(str(error))
            except (TypeError, KeyError, ValueError):
                problems.append(f"{member.url} answered with no block")
        if len(heights) < self.needed:
            answering = f"{len(heights)} of {len(self.members)} endpoints answer, {self.needed} are needed"
            raise ChainUnreachable(f"{answering}: {'; '.join(problems)}")
        heights.sort(key=lambda pair: -pair[0])
        number = heights[self.needed - 1][0]
        able = [member for height, member in heights if height >= number]
        return self._agreed("eth_getBlockByNumber", (hex(number), False), able)


def _believed(member: Endpoint, method: str, *params: Any) -> Any:
    """The member's answer, once it is known to be of our chain."""
    member.check_chain()
    return member.request(method, *params)


def _essence(method: str, answer: Any) -> str:
    """What of an answer has to agree: implementations add fields of their own to blocks and logs."""
    if isinstance(answer, ChainUnreachable):
        return "unreachable"
    if isinstance(answer, CallFailed):
        return "refused"
    if isinstance(answer, ChainError):
        return type(answer).__name__
    if method.startswith("eth_getBlock") and isinstance(answer, dict):
        return str([str(answer.get(name)).lower() for name in ("number", "hash", "parentHash", "timestamp")])
    if method == "eth_getLogs" and isinstance(answer, list):
        return str(sorted(_log_essence(log) for log in answer))
    return json.dumps(answer, sort_keys=True).lower()


def _log_essence(log: Any) -> str:
    names = ("blockHash", "logIndex", "address", "topics", "data")
    return json.dumps([log.get(name) for name in names] if isinstance(log, dict) else log).lower()


def _told(votes: dict[str, list[tuple[Endpoint, Any]]]) -> str:
    groups = []
    for ballot in votes.values():
        urls = ", ".join(member.url for member, _ in ballot)
        answer = ballot[0][1]
        groups.append(f"{urls} ({answer if isinstance(answer, ChainError) else 'one answer'})")
    return "; ".join(groups)
