"""What a gateway is told that did not answer at first."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import cast

import pytest

from berth.leases import door as door_module
from berth.leases.door import Door
from berth.leases.gateway import Gateway, GatewayAway
from berth.leases.nodegates import NodeGates
from tests.unit.leases.samples import lease


class Slow:
    """A gateway that is away until it is told to come."""

    def __init__(self) -> None:
        self.away, self.told, self.closed = True, list[str](), list[str]()

    def _answer(self) -> None:
        if self.away:
            raise GatewayAway("away")

    async def ready(self) -> bool:
        self._answer()
        return True

    async def revoke(self, key: str, until: int) -> None:
        self._answer()
        self.told.append(key)

    async def close(self, address: str) -> int:
        self._answer()
        self.closed.append(address)
        return 1


def test_what_could_not_be_said_is_said_later_and_connections_end_then(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door_module, "_look_seconds", 0.01)
    gateway = Slow()

    async def revoked() -> dict[str, int]:
        return {}

    async def play() -> str | None:
        door = Door(cast(Gateway, gateway), NodeGates(Path("/none-such")), 60, lambda: 1000.0, revoked)
        await door.refuse("l-1.s", 1060, ["10.0.0.5"])
        await door.refuse("l-2.s", 1060, ["10.0.0.6"])
        ended = lease(id="l-2")
        await door.leave(ended, ["10.0.0.6"])
        told = door.error
        gateway.away = False
        work = asyncio.create_task(door.run())
        await asyncio.sleep(0.5)
        work.cancel()
        assert door.error is None
        return told

    assert asyncio.run(play()) == "away"
    assert sorted(gateway.told) == ["l-1.s", "l-2", "l-2.s"]
    assert gateway.closed == ["10.0.0.5"], "the other address may be another lease's by now"
