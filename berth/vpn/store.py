"""The node's volume: the last good list, and a receipt of every list that was applied."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from berth.access.model import AccessList, Block, Entry
from berth.access.receipt import Receipt
from berth.vpn.errors import StoreDamaged

list_name, receipts_name = "list.json", "receipts"
receipts_kept: Final = 1000
_version: Final = 1


def write_atomic(path: Path, text: str, mode: int) -> None:
    """Replace ``path`` as a whole: a reader, or a node that dies here, sees the old file or the new one."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as file:
        os.fchmod(descriptor, mode)
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    os.replace(temporary, path)
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


@dataclass(frozen=True)
class Stored:
    """A list that the chain gave, and the hash of that chain's block 0: a chain started anew has another."""

    access: AccessList
    genesis: str


class Store:
    """Files in ``directory``: list.json and receipts/."""

    def __init__(self, directory: Path) -> None:
        self._list = directory / list_name
        self._receipts = directory / receipts_name
        self._receipts.mkdir(mode=0o700, exist_ok=True)

    def load(self) -> Stored | None:
        """The last good list, None where there was none yet; StoreDamaged where it is not whole (it is set aside)."""
        try:
            text = self._list.read_text()
        except FileNotFoundError:
            return None
        try:
            return _decode(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            aside = self._list.with_name(f"{list_name}.damaged")
            os.replace(self._list, aside)
            raise StoreDamaged(
                f"{self._list} is damaged ({error}) and was set aside as {aside.name}: "
                "the node has no peers until the next `pulumi up` (run `pulumi refresh` before it)"
            ) from None

    def save(self, stored: Stored | None) -> None:
        """Make ``stored`` the last good list; None takes it away."""
        if stored is None:
            self._list.unlink(missing_ok=True)
            _sync_directory(self._list.parent)
            return
        write_atomic(self._list, json.dumps(_encode(stored)) + "\n", 0o600)

    def add_receipt(self, receipt: Receipt) -> None:
        """Keep a receipt as receipts/<block>-<start of the digest>.json; the oldest beyond the limit go."""
        short = receipt.digest.removeprefix("sha256:")[:16]
        name = f"{receipt.block.number:012d}-{short}.json"
        write_atomic(self._receipts / name, json.dumps(receipt.as_dict(), indent=1) + "\n", 0o600)
        for old in sorted(self._receipts.glob("*.json"))[:-receipts_kept]:
            old.unlink(missing_ok=True)


def _encode(stored: Stored) -> dict[str, Any]:
    access = stored.access
    return {
        "version": _version,
        "chainId": access.chain_id,
        "genesis": stored.genesis,
        "registry": access.registry,
        "block": {"number": access.block.number, "hash": access.block.hash},
        "digest": access.digest,
        "entries": {str(entry.token): entry.as_inputs() for entry in access.entries},
    }


def _decode(raw: dict[str, Any]) -> Stored:
    if raw["version"] != _version:
        raise ValueError(f"version {raw['version']!r}, this node writes {_version}")
    entries = [Entry.from_inputs(token, inputs) for token, inputs in raw["entries"].items()]
    entries.sort(key=lambda entry: entry.token)
    block = Block(int(raw["block"]["number"]), str(raw["block"]["hash"]))
    access = AccessList(int(raw["chainId"]), str(raw["registry"]), block, tuple(entries))
    if access.digest != raw["digest"]:
        raise ValueError("its entries do not have its digest")
    return Stored(access, str(raw["genesis"]))
