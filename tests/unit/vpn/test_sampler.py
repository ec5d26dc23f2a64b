"""Who is connected: since when a handshake counts, and how comings and goings are counted."""

from __future__ import annotations

import json

from prometheus_client import CollectorRegistry

from berth.vpn.metrics import NodeMetrics
from berth.vpn.sampler import Sampler
from berth.vpn.wireguard import WireGuard
from tests.unit.vpn.fakes import FakeWg, key


class Handshakes(FakeWg):
    """A dump with handshakes: key -> (second, received, sent)."""

    def __init__(self) -> None:
        super().__init__()
        self.at: dict[str, tuple[int, int, int]] = {}
        self.dump = self._with_handshakes

    def _with_handshakes(self, text: str) -> str:
        lines = text.splitlines()
        for position, line in enumerate(lines[1:], 1):
            fields = line.split("\t")
            fields[4:7] = map(str, self.at.get(fields[0], (0, 0, 0)))
            lines[position] = "\t".join(fields)
        return "\n".join(lines) + "\n"


def test_connected_is_a_handshake_of_the_last_three_minutes() -> None:
    wg, now, registry = Handshakes(), [1000.0], CollectorRegistry()
    wanted = {key(1): "10.77.0.2", key(2): "10.77.0.3"}
    sampler = Sampler(WireGuard("wg0", wg), lambda: wanted, NodeMetrics(registry), lambda: now[0])
    wg.add(key(1), "10.77.0.2/32", endpoint="203.0.113.9:4000")
    wg.add(key(2), "10.77.0.3/32")

    def look(**at: tuple[int, int, int]) -> list[tuple[bool, int]]:
        wg.at = {key(int(name[1:])): value for name, value in at.items()}
        now[0] += 10
        sampler.look()
        return [(peer["connected"], peer["transitions"]) for peer in sampler.peers()]

    assert look() == [(False, 0), (False, 0)]
    assert look(p1=(1000, 5, 6)) == [(True, 1), (False, 0)]
    assert registry.get_sample_value("berth_node_connected_peers") == 1
    now[0] = 1170
    assert look(p1=(1000, 5, 6)) == [(True, 1), (False, 0)]
    assert look(p1=(1000, 5, 6)) == [(False, 2), (False, 0)]
    shown = json.dumps(sampler.peers())
    assert '"lastHandshake": 1000, "received": 5, "sent": 6' in shown
    assert "203.0.113.9" not in shown
    assert sampler.heard() == ([sampler.peers()[0]], [key(2)])
    assert (sampler.total, sampler.connected) == (2, 0)


def test_who_asks_often_reads_once() -> None:
    wg, now = Handshakes(), [1000.0]
    sampler = Sampler(WireGuard("wg0", wg), dict, NodeMetrics(CollectorRegistry()), lambda: now[0])
    sampler.look()
    asked = len(wg.commands)
    now[0] += 1
    sampler.look()
    assert len(wg.commands) == asked
