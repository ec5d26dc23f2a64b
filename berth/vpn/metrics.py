"""What a node counts, see :mod:`berth.kit.metrics`."""

from __future__ import annotations

import threading
from collections import deque
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_remembered: Final = 2048  # applies that percentiles are taken from
_buckets: Final = (0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)


class NodeMetrics:
    """``applies`` by result (applied, unchanged, newer, refused, unreadable, failed)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        def counter(name: str, says: str, *labels: str) -> Counter:
            return Counter(f"berth_node_{name}", says, labels, registry=registry)

        def gauge(name: str, says: str) -> Gauge:
            return Gauge(f"berth_node_{name}", says, registry=registry)

        self.applies = counter("applies", "Lists asked for, by result.", "result")
        self.changes = counter("peer_changes", "Peers changed, by kind.", "kind")
        self.seconds = Histogram(
            "berth_node_apply_seconds", "From block or request to read-back.", buckets=_buckets, registry=registry
        )
        self.peers = gauge("peers", "Peers after the last change.")
        self.block = gauge("applied_block", "Block of the list applied.")
        self.head = gauge("head_block", "Last head seen on the chain.")
        self.age = gauge("list_age_seconds", "Since the chain confirmed the list.")
        self.held = gauge("held_peers", "Peers whose removal waits for approval.")
        self.connected = gauge("connected_peers", "Peers with a handshake in the last 180 seconds.")
        self.trips = counter("breaker_trips", "Mass removals that had to wait.")
        self.expired = counter("expired_peers", "Peers removed at the end of their term, by this node's clock.")
        self.drifts = counter("drifts", "Peers found other than this node left them.")
        self.repairs = counter("repairs", "Times that interface, firewall or peers were put right.")
        self.faults = counter("follow_faults", "What kept this node from following the chain, by kind.", "kind")
        self.reads = counter("list_reads", "Whole reads of the list, by reason.", "reason")
        self.suspects = counter("audit_suspects", "Passes that the full audit found other than events had said.")
        self.disagreements = counter("endpoint_disagreements", "Answers unlike those of the quorum.", "endpoint")
        self.denied = counter("control_denied", "Control calls refused, by reason.", "reason")
        self._recent: deque[float] = deque(maxlen=_remembered)
        self._count = 0
        self._lock = threading.Lock()

    def applied(self, result: str, seconds: float) -> None:
        """One list asked for, or one block followed, took so long."""
        self.applies.labels(result).inc()
        self.seconds.observe(seconds)
        if result == "applied":
            with self._lock:
                self._recent.append(seconds)
                self._count += 1

    def percentiles(self) -> dict[str, float | int | None]:
        """``p50`` and ``p99`` in milliseconds over the last changes, and the ``count`` of all."""
        with self._lock:
            found, count = sorted(self._recent), self._count
        if not found:
            return {"p50": None, "p99": None, "count": count}
        at = [found[min(int(len(found) * share), len(found) - 1)] * 1000 for share in (0.5, 0.99)]
        return {"p50": round(at[0], 3), "p99": round(at[1], 3), "count": count}
