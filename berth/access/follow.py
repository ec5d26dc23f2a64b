"""Goes from head to head: which passes a block touched, and what counts of them now.

The fast way asks for the events of each block by its hash, and then for the passes that they name, at the hash of the
newest block.  Where that cannot be right, at the start, after a reorganisation, after too long a gap, the list is read
whole, by the same function as everywhere else.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final, Literal

from berth.access.current import changes_between, same
from berth.access.errors import CallFailed, ChainError, ChainUnreachable, InconsistentList, OlderBlock
from berth.access.model import Block, Entry
from berth.access.read import entries_of, read_access_list
from berth.chain.endpoint import Endpoint, Header
from berth.chain.key_registry import KeyRegistry, MalformedPage
from berth.chain.logs import Touched, nothing, touched

Reason = Literal["start", "reorganisation", "gap", "many"]
longest_gap: Final = 64  # blocks that are asked for one by one
most_tokens: Final = 2000  # touched passes that are asked for by name
_tokens_per_call: Final = 250
_remembered: Final = 512  # blocks whose hashes are kept, to tell a fork from an endpoint that lags


@dataclass(frozen=True)
class Move:
    """What a :meth:`View.move` did: the tokens to look at, why the list was read whole ("" where it was not), and
    whether the block that the view was at has left the chain."""

    tokens: frozenset[int]
    whole: Reason | Literal[""] = ""
    forked: bool = False


class View:
    """The list of ``registry`` at one block of ``endpoint``, which moves on with the head."""

    def __init__(self, endpoint: Endpoint, registry: str, subnet: IPv4Network) -> None:
        self._endpoint, self._registry, self._subnet = endpoint, registry, subnet
        self._contract = KeyRegistry(endpoint, registry)
        self._collection = ""
        self._seen: OrderedDict[int, str] = OrderedDict()
        self._later: list[tuple[int, int]] = []
        self.header: Header | None = None
        self.entries: dict[int, Entry] = {}
        self.left_out: frozenset[int] = frozenset()

    def forget(self) -> None:
        """Start anew: the next move reads the list whole."""
        self.header, self._collection = None, ""
        self._seen.clear()

    def move(self, target: Header, suspects: Iterable[int] = ()) -> Move:
        """Become the list at ``target``; ``suspects`` are looked at as well.

        Errors: OlderBlock where ``target`` is behind and the endpoint may just lag, InconsistentList, ChainError;
        the view is as it was then.
        """
        before = self.header
        if before is None:
            return self._read_whole(target, "start", forked=False)
        if target.block == before.block:
            return self._look(target, nothing, suspects)
        if target.block.number <= before.block.number:
            if self._seen.get(target.block.number) in (None, target.block.hash):
                raise OlderBlock(
                    f"{self._endpoint.url} is at block {target.block}, but the list of block {before.block} is known: "
                    "it lags, or the chain was rolled back. Nothing was changed"
                )
            return self._read_whole(target, "reorganisation", forked=True)
        if target.block.number - before.block.number > longest_gap:
            return self._read_whole(target, "gap", forked=self._left(before))
        path = self._path(before, target)
        if path is None:
            return self._read_whole(target, "reorganisation", forked=True)
        found = nothing
        try:
            for header in path:
                found |= touched(self._endpoint, self._addresses, header.block)
        except (ChainUnreachable, CallFailed):
            # Such as a block with more events than an answer may hold: anybody with a pass can make one.
            return self._read_whole(target, "many", forked=False)
        return self._look(target, found, suspects, path)

    @property
    def _addresses(self) -> list[str]:
        if not self._collection:
            self._collection = self._contract.collection()
        return [self._registry, self._collection]

    def _left(self, known: Header) -> bool:
        """Whether the block that is known has left the chain."""
        return self._endpoint.block(known.block.number) != known.block

    def _path(self, before: Header, target: Header) -> list[Header] | None:
        """The blocks after ``before`` up to ``target``; None where ``target`` does not come from it."""
        path = [target]
        while path[-1].block.number > before.block.number + 1:
            wanted = Block(path[-1].block.number - 1, path[-1].parent)
            path.append(self._endpoint.header(wanted.hash))
            # Without this, an endpoint that answers with any other block keeps us here for ever.
            if path[-1].block != wanted:
                raise InconsistentList(f"{self._endpoint.url} answered for block {path[-1].block}, not for {wanted}")
        return path[::-1] if path[-1].parent == before.block.hash else None

    def _read_whole(self, target: Header, reason: Reason, forked: bool) -> Move:
        access = read_access_list(self._endpoint, self._registry, self._subnet, target.block)
        entries = access.by_token
        tokens = changes_between(self.entries, entries)
        if forked:
            self._seen.clear()
        self.entries, self.left_out = dict(entries), frozenset(access.left_out)
        # Rentals that end are known from events only, so they are kept.
        self._later = sorted({*self._later, *((e.expires, e.token) for e in access.entries if e.expires)})
        self._arrive(target, [target])
        return Move(frozenset(tokens), reason, forked)

    def _look(self, target: Header, found: Touched, suspects: Iterable[int], path: Iterable[Header] = ()) -> Move:
        # What is over at the block's time is over in the list of that block, though no event says so.
        due = self._due(target.timestamp)
        tokens = {*found.tokens, *suspects, *(token for _, token in due)}
        try:
            if len(tokens) > most_tokens:
                return self._read_whole(target, "many", forked=False)
            now = dict(self._ask(sorted(tokens), target.block))
        except ChainError:
            for one in due:
                heapq.heappush(self._later, one)
            raise
        changed = [token for token in tokens if not same(self.entries.get(token), now.get(token))]
        for token in changed:
            self.entries.pop(token, None)
            if token in now:
                self.entries[token] = now[token]
        terms = {(now[token].expires, token) for token in changed if token in now and now[token].expires}
        for one in terms | found.later:
            if one[0] > target.timestamp:
                heapq.heappush(self._later, one)
        self._arrive(target, path)
        return Move(frozenset(changed))

    def _due(self, second: int) -> list[tuple[int, int]]:
        due = []
        while self._later and self._later[0][0] <= second:
            due.append(heapq.heappop(self._later))
        return due

    def _ask(self, tokens: list[int], block: Block) -> Iterator[tuple[int, Entry]]:
        """What counts of these passes at ``block``."""
        size, start = _tokens_per_call, 0
        while start < len(tokens):
            some = tokens[start : start + size]
            try:
                peers = self._contract.peers_of(some, block)
            except MalformedPage as error:
                raise InconsistentList(f"{self._endpoint.url}, passes at block {block}: {error}") from None
            except CallFailed:
                # As for pages: a call out of gas is worded differently everywhere.
                if size == 1:
                    raise
                size = max(size // 4, 1)
                continue
            if {peer.token for peer in peers} - set(some) or len({peer.token for peer in peers}) != len(peers):
                raise InconsistentList(f"{self._endpoint.url} answered for other passes than were asked for")
            start += len(some)
            entries, _ = entries_of(peers, self._subnet)
            for entry in entries:
                yield entry.token, entry

    def _arrive(self, target: Header, path: Iterable[Header]) -> None:
        self.header = target
        for header in path:
            self._seen[header.block.number] = header.block.hash
            while len(self._seen) > _remembered:
                self._seen.popitem(last=False)
