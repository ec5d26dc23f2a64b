"""Leases and clocks for tests of pure logic."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from berth.leases.clock import Clock
from berth.leases.model import Deadline, Lease, Phase, new_id, new_name

now = 1_800_000_000.0
day = 86_400.0


class Steady(Clock):
    """A clock that moves only when it is told to; ``step`` moves the wall clock alone, as an operator would."""

    def __init__(self, wall: float = now, mark: float = 1000.0) -> None:
        self.boot = "this boot"
        self._wall, self._mark = wall, mark

    def wall(self) -> float:
        return self._wall

    def mark(self) -> float:
        return self._mark

    def pass_(self, seconds: float) -> None:
        self._wall += seconds
        self._mark += seconds

    def step(self, seconds: float) -> None:
        self._wall += seconds


def lease(phase: Phase = Phase.ready, seconds: float = 600, **more: Any) -> Lease:
    """A lease of 10 minutes that was just made."""
    made = Lease(
        id=new_id(now), name=new_name("basic"), user="alice", scenario="basic", created=now, lifetime=seconds,
        expires=Deadline(now + seconds), hard=now + 2 * day, phase=phase, images={"main": "debian"},
    )  # fmt: skip
    return replace(made, **more)
