"""What a guard counts."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram


class GuardMetrics:
    """Calls by route, refusals by kind, connections that are open."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.passed = Counter(
            "guard_calls", "Calls that were passed on.", ["method", "route", "status"], registry=registry
        )
        self.refused = Counter("guard_refused", "Calls that were refused.", ["kind"], registry=registry)
        self.open = Gauge("guard_connections", "Open connections of the client.", registry=registry)
        self.seconds = Histogram("guard_decision_seconds", "Time to decide about a call.", registry=registry)
