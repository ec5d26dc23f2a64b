"""What the access API counts, see :mod:`berth.kit.metrics`."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class ApiMetrics:
    """Labels take a fixed set of values each; nothing that callers send becomes one."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.refusals = Counter("berth_access_refusals", "Requests refused, by reason.", ["reason"], registry=registry)
        self.sessions = Counter(
            "berth_access_sessions", "Sessions begun, by transport.", ["transport"], registry=registry
        )
        self.relayed = Counter(
            "berth_access_relayed", "Transactions sent by the relay and mined, by function.", ["function"],
            registry=registry,
        )  # fmt: skip
        self.failed = Counter(
            "berth_access_relay_failures",
            "Transactions that failed for another reason than the contract's.",
            registry=registry,
        )
        self.relay_seconds = Histogram(
            "berth_access_relay_seconds", "From a checked request to its receipt.", registry=registry
        )
        self.gas = Counter("berth_access_relay_gas", "Gas used by the relay.", registry=registry)
        self.balance = Gauge("berth_access_relay_balance_coins", "What the relay's account has.", registry=registry)
        self.head = Gauge("berth_access_head_block", "Last head seen on the chain.", registry=registry)
        self.nodes = Gauge("berth_access_nodes", "Nodes announced, by health.", ["health"], registry=registry)
