"""The block that a preview showed, kept in a file for the update that follows.

Preview and update are two runs of the program: without the pin, an update could apply a list that nobody saw.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

from berth.access.errors import ListMoved, PinDamaged
from berth.access.model import AccessList, Block, Entry

pin_file_variable: Final = "BERTH_PIN_FILE"
_named = 5  # how many tokens a message names before it counts


def pin_file() -> Path | None:
    """The file that the environment names, if any."""
    name = os.environ.get(pin_file_variable, "")
    return Path(name) if name else None


@dataclass(frozen=True)
class Pin:
    """The list that was shown: block and digest, and the entries, so that a later difference can be named."""

    chain_id: int
    registry: str
    block: Block
    digest: str
    entries: tuple[Entry, ...]

    @classmethod
    def of(cls, access: AccessList) -> Self:
        return cls(access.chain_id, access.registry, access.block, access.digest, access.entries)

    def write(self, path: Path) -> None:
        """Writes the file whole or not at all, readable by its owner only."""
        content = {
            "chainId": self.chain_id,
            "registry": self.registry,
            "number": self.block.number,
            "hash": self.block.hash,
            "digest": self.digest,
            "entries": {str(entry.token): entry.as_inputs() for entry in self.entries},
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(path.name + ".new")
        with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(content, file, indent=1)
        temporary.replace(path)

    @classmethod
    def read(cls, path: Path) -> Self | None:
        """The pin, or None when there is no file; PinDamaged says what to do about a file that is no pin."""
        try:
            raw: Any = json.loads(path.read_text())
            return cls._parse(raw)
        except FileNotFoundError:
            return None
        except (ValueError, KeyError, TypeError, AttributeError, OSError, RecursionError) as error:
            raise PinDamaged(
                f"the pin file {path} cannot be read or is damaged ({error}): remove it and run `make preview` again"
            ) from None

    @classmethod
    def _parse(cls, raw: Mapping[str, Any]) -> Self:
        return cls(
            chain_id=int(raw["chainId"]),
            registry=str(raw["registry"]),
            block=Block(int(raw["number"]), str(raw["hash"])),
            digest=str(raw["digest"]),
            entries=tuple(Entry.from_inputs(token, inputs) for token, inputs in raw["entries"].items()),
        )

    def compare(self, access: AccessList) -> None:
        """ListMoved, naming who gained and who lost access, unless ``access`` is the list that was shown."""
        if (self.chain_id, self.registry) != (access.chain_id, access.registry):
            raise ListMoved(
                f"the preview was of registry {self.registry} on chain {self.chain_id}, this is "
                f"{access.registry} on chain {access.chain_id}: run `make preview` again"
            )
        if self.digest != access.digest:
            raise ListMoved(
                f"the access list has moved since the preview at block {self.block}; at block {access.block}: "
                f"{difference(self.entries, access.entries)}. Run `make preview` again"
            )


def difference(before: tuple[Entry, ...], after: tuple[Entry, ...]) -> str:
    """In words, which tokens are added, removed or changed from one list to another."""
    old, new = {entry.token: entry for entry in before}, {entry.token: entry for entry in after}
    groups = {
        "added": [new[token] for token in new.keys() - old.keys()],
        "removed": [old[token] for token in old.keys() - new.keys()],
        "changed": [new[token] for token in new.keys() & old.keys() if new[token] != old[token]],
    }
    return "; ".join(f"{word} {_names(entries)}" for word, entries in groups.items() if entries) or "no difference"


def _names(entries: list[Entry]) -> str:
    first = sorted(entries, key=lambda entry: entry.token)[:_named]
    named = ", ".join(f"token {entry.token} ({entry.owner}, {entry.address})" for entry in first)
    return named + (f" and {len(entries) - _named} more" if len(entries) > _named else "")
