"""What a node counts, see :mod:`berth.kit.metrics`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class NodeMetrics:
    """``applies`` by result (applied, unchanged, newer, refused, unreadable, failed)."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.applies = Counter("berth_node_applies", "Lists asked for, by result.", ["result"], registry=registry)
        self.changes = Counter("berth_node_peer_changes", "Peers changed, by kind.", ["kind"], registry=registry)
        self.seconds = Histogram("berth_node_apply_seconds", "From the request to the read-back.", registry=registry)
        self.peers = Gauge("berth_node_peers", "Peers after the last change.", registry=registry)
        self.block = Gauge("berth_node_applied_block", "Block of the list applied.", registry=registry)
        self.head = Gauge("berth_node_head_block", "Last head seen on the chain.", registry=registry)
        self.denied = Counter(
            "berth_node_control_denied", "Control calls refused, by reason.", ["reason"], registry=registry
        )
