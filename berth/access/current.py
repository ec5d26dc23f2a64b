"""The list as it is now, changed in O(change): what a node that follows the chain holds in memory."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from berth.access.errors import InconsistentList
from berth.access.model import AccessList, Block, Entry, ListTree


@dataclass(frozen=True)
class Update:
    """What leads to the list of ``block``: entries that are new or other, and tokens that are gone.

    ``removals``: the later block that removals were taken from, None where that is ``block``.
    """

    block: Block
    put: tuple[Entry, ...] = ()
    drop: tuple[int, ...] = ()
    removals: Block | None = None

    def __bool__(self) -> bool:
        return bool(self.put or self.drop)

    @property
    def tokens(self) -> list[int]:
        """Every token that it names."""
        return [entry.token for entry in self.put] + list(self.drop)


def meet(added: Entry | None, kept: Entry | None) -> Entry | None:
    """What counts of one pass where removals are believed sooner than additions: only what both blocks have.

    The earlier of both terms holds.
    """
    if added is None or kept is None or added != kept:
        return None
    if not kept.expires or (added.expires and added.expires <= kept.expires):
        return added
    return kept


def changes_between(old: Mapping[int, Entry], new: Mapping[int, Entry]) -> list[int]:
    """The tokens whose entries differ, terms included."""
    gone = [token for token in old if token not in new]
    other = [token for token, entry in new.items() if not same(old.get(token), entry)]
    return gone + other


def same(one: Entry | None, other: Entry | None) -> bool:
    """Whether two entries are the same, terms included."""
    return one == other and (one is None or other is None or one.expires == other.expires)


class CurrentList:
    """The entries by token, with the digest; starts empty at ``block``."""

    def __init__(self, chain_id: int, registry: str, block: Block) -> None:
        self.chain_id, self.registry, self.block = chain_id, registry, block
        self.removals: Block | None = None
        self.entries: dict[int, Entry] = {}
        self._tokens: dict[str, int] = {}
        self._tree = ListTree()
        self._digest = self._tree.digest

    @classmethod
    def of(cls, access: AccessList) -> CurrentList:
        """The list ``access``; InconsistentList where two of its entries share a key."""
        made = cls(access.chain_id, access.registry, access.block)
        made.change(Update(access.block, access.entries, (), access.removals))
        return made

    @property
    def digest(self) -> str:
        """See :func:`berth.access.model.digest_of`."""
        return self._digest

    def of_key(self, key: str) -> Entry | None:
        """The entry with this WireGuard key."""
        token = self._tokens.get(key)
        return None if token is None else self.entries[token]

    def change(self, update: Update) -> Update:
        """Become the list of ``update.block``; the update that undoes it.

        InconsistentList, and nothing is changed, where a key would belong to two passes: the contract never lets that
        happen, so what the chain was asked contradicts what it said before.
        """
        dropped = set(update.drop)
        keys: dict[str, int] = {}
        for entry in update.put:
            if keys.setdefault(entry.key, entry.token) != entry.token:
                raise InconsistentList(
                    f"at block {update.block} tokens {keys[entry.key]} and {entry.token} have the same key"
                )
        touched = dropped | {entry.token for entry in update.put}
        for key, token in keys.items():
            owner = self._tokens.get(key)
            if owner is not None and owner not in touched:
                raise InconsistentList(f"at block {update.block} token {token} has the key of token {owner}")
        undo = Update(
            self.block,
            tuple(self.entries[token] for token in touched if token in self.entries),
            tuple(token for token in touched if token not in self.entries),
            self.removals,
        )
        self._take(touched)
        for entry in update.put:
            self.entries[entry.token] = entry
            self._tokens[entry.key] = entry.token
            self._tree.put(entry)
        self.block, self.removals = update.block, update.removals
        if update:
            self._digest = self._tree.digest
        return undo

    def update_to(self, access: AccessList) -> Update:
        """The update that leads to ``access``."""
        new = access.by_token
        tokens = changes_between(self.entries, new)
        return Update(
            access.block,
            tuple(new[token] for token in tokens if token in new),
            tuple(token for token in tokens if token not in new),
            access.removals,
        )

    def access(self) -> AccessList:
        """The whole list, as it is now."""
        entries = tuple(sorted(self.entries.values(), key=lambda entry: entry.token))
        return AccessList(self.chain_id, self.registry, self.block, entries, removals=self.removals)

    def _take(self, tokens: Iterable[int]) -> None:
        for token in tokens:
            old = self.entries.pop(token, None)
            if old is not None:
                del self._tokens[old.key]
                self._tree.drop(token)
