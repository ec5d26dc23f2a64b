"""Desired against actual peers.  Pure; node agent and tests decide by the same function."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Changes:
    """What makes ``actual`` equal to ``desired``, as key -> address (``move``: key -> its new address).

    Remove before moving before adding: WireGuard silently takes an allowed IP from the peer that has it.
    """

    add: dict[str, str] = field(default_factory=dict)
    remove: dict[str, str] = field(default_factory=dict)
    move: dict[str, str] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.add or self.remove or self.move)

    @property
    def count(self) -> int:
        """How many peers are touched."""
        return len(self.add) + len(self.remove) + len(self.move)

    def __str__(self) -> str:
        return f"{len(self.add)} added, {len(self.remove)} removed, {len(self.move)} moved"


def diff(desired: Mapping[str, str], actual: Mapping[str, str]) -> Changes:
    """Both are WireGuard public key -> tunnel address."""
    return Changes(
        add={key: address for key, address in desired.items() if key not in actual},
        remove={key: address for key, address in actual.items() if key not in desired},
        move={key: address for key, address in desired.items() if key in actual and actual[key] != address},
    )
