"""What Prometheus may ask of the manager."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_buckets = (0.025, 0.05, 0.1, 0.2, 0.4, 0.8, 1.5, 3, 6, 15, 60)


class LeaseMetrics:
    """Counters are by kind of event, which are few; nothing is labelled by lease or user."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter("berth_lease_events", "What happened to leases.", ["kind"], registry=registry)
        self.provision = Histogram(
            "berth_lease_provision_seconds",
            "From the request to running.",
            ["pool"],
            registry=registry,
            buckets=_buckets,
        )
        self.overdue = Histogram(
            "berth_lease_overdue_seconds", "From the deadline to gone.", registry=registry, buckets=_buckets
        )
        self.swept = Counter("berth_lease_swept", "What the cleanup worker found left.", ["what"], registry=registry)
        self.live = Gauge("berth_lease_live", "Leases that take a place of the quota.", registry=registry)
        self.waiting = Gauge("berth_lease_pool", "Containers that wait.", ["scenario"], registry=registry)
        self.strangers = Gauge("berth_lease_strangers", "Containers of leases that nobody knows.", registry=registry)
        self.dead = Gauge("berth_lease_dead_letters", "Leases with a step that failed too often.", registry=registry)
