"""Compiled contracts, as committed in ``contracts/artifacts``."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from berth.chain.errors import PermanentError

folder: Final = Path(__file__).resolve().parents[2] / "contracts" / "artifacts"


class ArtifactMissing(PermanentError):
    """There is no such compiled contract, or its file is damaged."""


@dataclass(frozen=True)
class Artifact:
    """``bytecode`` is the creation code without constructor arguments."""

    name: str
    abi: list[dict[str, Any]] = field(repr=False)
    bytecode: bytes = field(repr=False)

    @property
    def constructor(self) -> list[tuple[str, str]]:
        """(name, type) of each constructor argument; Solidity's trailing underscores are left out."""
        arguments: list[dict[str, str]] = next(
            (item["inputs"] for item in self.abi if item["type"] == "constructor"), []
        )
        return [(argument["name"].strip("_"), argument["type"]) for argument in arguments]


@cache
def load(name: str) -> Artifact:
    """The artifact of a contract by its name; ArtifactMissing says what to do."""
    path = folder / f"{name}.json"
    try:
        raw = json.loads(path.read_text())
        return Artifact(name, raw["abi"], bytes.fromhex(raw["bytecode"].removeprefix("0x")))
    except FileNotFoundError:
        known = ", ".join(sorted(file.stem for file in folder.glob("*.json"))) or "none"
        raise ArtifactMissing(f"there is no compiled contract {name} in {folder} (there are: {known})") from None
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactMissing(
            f"{path} is damaged ({error}): restore it with `git checkout -- contracts/artifacts`"
        ) from None
