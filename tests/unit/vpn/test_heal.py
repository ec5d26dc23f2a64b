"""What is amiss is put back, and who had a session is called."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from berth.vpn.errors import CommandFailed, NodeError
from berth.vpn.heal import Healer


@dataclass
class Ground:
    fault: str = ""
    said: str = "sessions"
    woken: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    unreadable: bool = False

    def check(self) -> str:
        if self.fault:
            raise NodeError(self.fault)
        return "well"

    def repair(self, reason: str) -> None:
        self.reasons.append(reason)
        self.fault = ""

    def sessions(self) -> str:
        if self.unreadable:
            raise CommandFailed("gone")
        return self.said

    def wake(self, sessions: Iterable[str]) -> int:
        if self.unreadable:
            raise CommandFailed("gone")
        self.woken += sessions
        return 1


def test_what_is_well_is_left_alone() -> None:
    ground = Ground()
    assert Healer([ground.check], ground.repair, ground).look()
    assert (ground.reasons, ground.woken) == ([], [])


def test_what_is_amiss_is_put_back_and_who_had_a_session_is_called() -> None:
    ground = Ground()
    healer = Healer([lambda: None, ground.check], ground.repair, ground)
    healer.look()
    ground.fault, ground.said = "wireguard-go has ended", "none any more"
    assert not healer.look()
    assert healer.look()
    assert ground.reasons == ["wireguard-go has ended"]
    assert ground.woken == ["sessions"]
    assert healer.repairs == 1


def test_sessions_that_cannot_be_read_or_woken_stop_nothing() -> None:
    ground = Ground(unreadable=True)
    healer = Healer([ground.check], ground.repair, ground)
    assert healer.look()
    ground.fault = "gone"
    assert not healer.look()
    assert ground.reasons == ["gone"]


def test_it_runs_until_it_is_stopped() -> None:
    ground = Ground(fault="gone")
    healer = Healer([ground.check], ground.repair, ground, every=0.001)
    healer.start()
    while not ground.reasons:
        pass
    healer.stop()
    ground.fault = "gone again"
    assert ground.reasons == ["gone"]
