"""The node's volume: the last good list, and a receipt of every generation that was applied.

``list.json`` is a whole list, ``list.log`` what changed since: one line for each change, so that a change costs
the same at 10,000 passes as at ten.  ``receipts.log`` has a line for each receipt, and ``receipts.old.log`` those
before.  A line is written before the peers are changed, by one call: whenever the node is killed, it comes back with
the list that the chain gave last.  A machine that loses power may lose the last second of it (:meth:`Store.sync`).
"""

from __future__ import annotations

import json
import os
import threading
from collections import deque
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from berth.access import merkle
from berth.access.current import CurrentList, Update
from berth.access.errors import InconsistentList
from berth.access.model import AccessList, Block, Entry, digest_prefix
from berth.access.policy import Pending
from berth.access.receipt import Receipt
from berth.vpn.errors import StoreDamaged
from berth.vpn.files import LineFile, line_of, read_lines, sync_directory, write_atomic

list_name, log_name, breaker_name = "list.json", "list.log", "breaker.json"
receipts_name, old_receipts_name = "receipts.log", "receipts.old.log"
receipts_kept: Final = 10_000  # in each of the two files
receipts_shown: Final = 500  # that can be asked for; the rest is for whoever has the volume
compact_after: Final = 512 * 1024  # bytes of list.log; a change is about 300
_version: Final = 2


@dataclass(frozen=True)
class Stored:
    """A list that the chain gave, and the hash of that chain's block 0: a chain started anew has another.

    ``confirmed``: when the chain last said that this is the list, UNIX seconds.
    """

    access: AccessList
    genesis: str
    confirmed: float = field(default=0.0, compare=False)


class Store:
    """Files in ``directory``.  Safe to call from several threads."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._list, self._breaker = directory / list_name, directory / breaker_name
        self._log, self._receipts = LineFile(directory / log_name), LineFile(directory / receipts_name)
        self._lock = threading.Lock()
        self._whole = threading.Lock()  # for who writes list.json; taken before the other
        self._sequence = self._written = self._last = 0
        self._unsynced = False
        self._recent: deque[Receipt] = deque(maxlen=receipts_shown)
        self._count = 0
        self._load_receipts()

    # ------------------------------------------------------------------ the list

    def load(self) -> Stored | None:
        """The last good list, None where there was none yet; StoreDamaged where it is not whole (it is set aside)."""
        with self._whole, self._lock:
            try:
                text = self._list.read_text()
            except FileNotFoundError:
                self._log.replace("")
                return None
            try:
                stored, self._sequence = _decode(json.loads(text))
                records = self._log.records(whole=True)
                stored = self._replay(stored, records)
            except (ValueError, KeyError, TypeError, AttributeError, InconsistentList, StoreDamaged) as error:
                aside = self._list.with_name(f"{list_name}.damaged")
                os.replace(self._list, aside)
                self._log.replace("")
                raise StoreDamaged(
                    f"{self._list} is damaged ({error}) and was set aside as {aside.name}: "
                    "the node has no peers until it has read the list from the chain again"
                ) from None
            if records:
                self._write(stored)
            return stored

    def save(self, stored: Stored | None) -> None:
        """Make ``stored`` the last good list as a whole; None takes it away."""
        with self._whole, self._lock:
            if stored is None:
                self._list.unlink(missing_ok=True)
                sync_directory(self._directory)
                self._log.replace("")
            else:
                self._write(stored)

    def append(self, update: Update, digest: str, confirmed: float) -> None:
        """Note what leads from the list so far to the one with ``digest``."""
        with self._lock:
            self._sequence += 1
            self._unsynced = True
            before = self._log.add(_encode_update(update, digest, confirmed, self._sequence))
            self._last = self._log.size - before

    def undo(self) -> None:
        """Forget what :meth:`append` noted last."""
        with self._lock:
            self._log.cut(self._log.size - self._last)
            self._last = 0

    @property
    def full(self) -> bool:
        """Whether it is time to :meth:`compact`."""
        return self._log.size > compact_after

    @property
    def sequence(self) -> int:
        """The number of the last line: to be taken together with the list that :meth:`compact` gets."""
        return self._sequence

    def compact(self, stored: Stored, sequence: int) -> None:
        """Write ``stored``, the list as it was at this ``sequence``, as a whole, and drop the lines up to it.

        Others may append meanwhile: they wait for no more than the few lines that are left.
        """
        with self._whole:
            if sequence < self._written:
                return
            write_atomic(self._list, _text(stored, sequence), 0o600)
            self._written = sequence
            with self._lock:
                left = [raw for raw in self._log.records(whole=True) if raw["n"] > sequence]
                self._log.replace("".join(map(line_of, left)))

    def sync(self) -> None:
        """Make what was noted outlast a loss of power; called every second, apart from the changes."""
        with self._lock:
            if not self._unsynced:
                return
            self._unsynced = False
            files = (self._log, self._receipts)
        for file in files:
            file.sync()

    def close(self) -> None:
        """Everything on the disk."""
        self.sync()
        self._log.close()
        self._receipts.close()

    def _write(self, stored: Stored) -> None:
        # The lines so far have earlier numbers: whoever dies before they are gone passes over them.
        self._sequence += 1
        write_atomic(self._list, _text(stored, self._sequence), 0o600)
        self._written = self._sequence
        self._log.replace("")

    def _replay(self, stored: Stored, records: list[Any]) -> Stored:
        current, confirmed, digest = CurrentList.of(stored.access), stored.confirmed, stored.access.digest
        for raw in records:
            if raw["n"] <= self._sequence:
                continue
            update = _decode_update(raw)
            current.change(update)
            confirmed, digest, self._sequence = float(raw["at"]), raw["digest"], raw["n"]
        if current.digest != digest:
            raise ValueError(f"the lines of {log_name} do not lead to the digest that they name")
        return replace(stored, access=current.access(), confirmed=confirmed)

    # ------------------------------------------------------------------ receipts

    def add_receipt(self, receipt: Receipt) -> Receipt:
        """Keep a receipt; the same with its generation."""
        with self._lock:
            generation = (self._recent[-1].generation if self._recent else 0) + 1
            numbered = replace(receipt, generation=generation)
            if self._count >= receipts_kept:
                os.replace(self._receipts.path, self._directory / old_receipts_name)
                self._receipts.replace("")
                self._count = 0
            self._receipts.add(numbered.as_dict())
            self._recent.append(numbered)
            self._count += 1
            self._unsynced = True
            return numbered

    def receipts(self, limit: int) -> list[Receipt]:
        """The last ones, newest first."""
        with self._lock:
            return list(self._recent)[: -limit - 1 : -1]

    def _load_receipts(self) -> None:
        old, _ = read_lines(self._directory / old_receipts_name)
        found = self._receipts.records()
        self._count = len(found)
        for raw in [*old, *found][-receipts_shown:]:
            self._recent.append(Receipt.from_dict(raw))

    # ------------------------------------------------------------------ the breaker

    def load_pending(self) -> Pending | None:
        """The mass removal that waits for approval, if one does."""
        try:
            raw = json.loads(self._breaker.read_text())
            cut = {str(key): int(term) for key, term in raw.get("cut", {}).items()}
            return Pending(str(raw["id"]), float(raw["since"]), float(raw["deadline"]), dict(raw["held"]), cut)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError):
            # Nobody is held then, which is the safe side.
            return None

    def save_pending(self, pending: Pending | None) -> None:
        """Keep what waits over a restart; None when nothing does."""
        if pending is None:
            self._breaker.unlink(missing_ok=True)
            return
        raw = {"id": pending.id, "since": pending.since, "deadline": pending.deadline}
        raw |= {"held": dict(pending.held), "cut": dict(pending.cut)}
        write_atomic(self._breaker, json.dumps(raw) + "\n", 0o600)


def _shown(block: Block | None) -> list[Any] | None:
    return None if block is None else [block.number, block.hash]


def _block(raw: Any) -> Block:
    return Block(int(raw[0]), str(raw[1]))


def _text(stored: Stored, sequence: int) -> str:
    """list.json; made piece by piece, so that no other thread has to wait for all of it."""
    access = stored.access
    head = {
        "version": _version,
        "n": sequence,
        "chainId": access.chain_id,
        "genesis": stored.genesis,
        "registry": access.registry,
        "block": {"number": access.block.number, "hash": access.block.hash},
        "removals": _shown(access.removals),
        "digest": access.digest,
        "confirmed": stored.confirmed,
    }
    pieces = [json.dumps({str(entry.token): _encode_entry(entry)})[1:-1] for entry in access.entries]
    return json.dumps(head)[:-1] + ', "entries": {' + ", ".join(pieces) + "}}\n"


def _encode_entry(entry: Entry) -> dict[str, Any]:
    return {**entry.as_inputs(), **({"expires": entry.expires} if entry.expires else {})}


def _decode_entry(token: str, raw: dict[str, Any]) -> Entry:
    return replace(Entry.from_inputs(token, raw), expires=int(raw.get("expires", 0)))


def _decode(raw: dict[str, Any]) -> tuple[Stored, int]:
    if raw["version"] not in (1, _version):
        raise ValueError(f"version {raw['version']!r}, this node writes {_version}")
    entries = [_decode_entry(token, inputs) for token, inputs in raw["entries"].items()]
    entries.sort(key=lambda entry: entry.token)
    block = Block(int(raw["block"]["number"]), str(raw["block"]["hash"]))
    removals = raw.get("removals")
    later = _block(removals) if removals else None
    access = AccessList(int(raw["chainId"]), str(raw["registry"]), block, tuple(entries), removals=later)
    # Version 1 had one tree over all entries: whoever comes from it keeps its peers.
    old = raw["version"] == 1
    digest = digest_prefix + merkle.root([entry.leaf() for entry in entries]).hex() if old else access.digest
    if digest != raw["digest"]:
        raise ValueError("its entries do not have its digest")
    return Stored(access, str(raw["genesis"]), float(raw.get("confirmed", 0))), int(raw.get("n", 0))


def _encode_update(update: Update, digest: str, confirmed: float, sequence: int) -> dict[str, Any]:
    raw: dict[str, Any] = {"n": sequence, "at": round(confirmed, 3), "block": _shown(update.block), "digest": digest}
    if update.removals:
        raw["removals"] = _shown(update.removals)
    if update.put:
        raw["put"] = {str(entry.token): _encode_entry(entry) for entry in update.put}
    if update.drop:
        raw["drop"] = [str(token) for token in update.drop]
    return raw


def _decode_update(raw: dict[str, Any]) -> Update:
    put = tuple(_decode_entry(token, inputs) for token, inputs in raw.get("put", {}).items())
    removals = raw.get("removals")
    drop = tuple(int(token) for token in raw.get("drop", ()))
    return Update(_block(raw["block"]), put, drop, _block(removals) if removals else None)
