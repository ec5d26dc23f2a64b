"""What /metrics shows of a bridge: the program's own counts, as it gives them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from berth.tunnel.errors import TunnelError

_ways: Final = {"toUdp": "tcp_to_udp", "toTcp": "udp_to_tcp"}
_flows: Final = {
    "datagrams": "Datagrams that were carried.",
    "bytes": "Bytes of datagrams that were carried.",
    "dropped": "Datagrams that the bounded queue dropped, the oldest first, because TCP did not keep up.",
    "lost": "Datagrams that could not be sent on.",
}


class BridgeCollector(Collector):
    """Asks for the statistics at each scrape.

    The label ``connection`` is the least number that was free, so series are as many as connections at once.
    """

    def __init__(self, stats: Callable[[], dict[str, Any]], starts: Callable[[], int]) -> None:
        self._stats, self._starts = stats, starts

    def collect(self) -> Iterator[Metric]:
        """The families; without the program only how often it was started."""
        yield CounterMetricFamily("bridge_program_starts", "Starts of the forwarding program.", value=self._starts())
        try:
            stats = self._stats()
        except TunnelError:
            return
        yield from _whole(stats)
        yield from _endpoints(stats)
        yield from _connections(stats["connections"])

    def describe(self) -> list[Metric]:
        """Nothing: registering must not ask a program that is not started yet."""
        return []


def _whole(stats: dict[str, Any]) -> Iterator[Metric]:
    yield GaugeMetricFamily("bridge_accepting", "Whether connections are taken.", value=int(stats["accepting"]))
    yield GaugeMetricFamily("bridge_connections", "Open TCP connections.", value=stats["open"])
    yield CounterMetricFamily("bridge_accepted", "TCP connections or local peers so far.", value=stats["accepted"])
    yield CounterMetricFamily("bridge_accept_failures", "Connections not accepted.", value=stats["acceptFailures"])
    yield CounterMetricFamily("bridge_failovers", "Changes of the active endpoint.", value=stats["failovers"])
    for name, told in (
        ("closed", "Connections that ended, by reason."),
        ("refused", "Connections refused, by reason."),
    ):
        family = CounterMetricFamily(f"bridge_{name}", told, labels=["reason"])
        for reason, count in sorted(stats[name].items()):
            family.add_metric([reason], count)
        yield family
    totals = stats["totals"]
    for flow, told in _flows.items():
        family = CounterMetricFamily(f"bridge_{flow}", told, labels=["direction"])
        for way, label in _ways.items():
            family.add_metric([label], totals[way][flow])
        yield family
    yield CounterMetricFamily("bridge_empty_frames", "Frames of no length, skipped.", value=totals["emptyFrames"])
    yield CounterMetricFamily("bridge_resent", "Datagrams sent again after a failover.", value=totals["resent"])
    process = stats["process"]
    yield GaugeMetricFamily("bridge_program_heap_bytes", "Heap in use.", value=process["heapBytes"])
    yield GaugeMetricFamily("bridge_program_memory_bytes", "Memory taken from the system.", value=process["sysBytes"])


def _endpoints(stats: dict[str, Any]) -> Iterator[Metric]:
    if "endpoints" not in stats:
        return
    well = GaugeMetricFamily("bridge_endpoint_well", "Whether an endpoint is known to work.", labels=["place", "node"])
    active = GaugeMetricFamily("bridge_endpoint_active", "Whether an endpoint is in use.", labels=["place", "node"])
    for place, endpoint in enumerate(stats["endpoints"]):
        labels = [str(place), str(endpoint.get("node", ""))]
        well.add_metric(labels, int(endpoint["well"] or endpoint["active"]))
        active.add_metric(labels, int(endpoint["active"]))
    yield well
    yield active


def _connections(connections: list[dict[str, Any]]) -> Iterator[Metric]:
    flows = {
        flow: CounterMetricFamily(f"bridge_connection_{flow}", told, labels=["connection", "direction"])
        for flow, told in _flows.items()
    }
    rtt = GaugeMetricFamily("bridge_connection_rtt_seconds", "Smoothed RTT (TCP_INFO).", labels=["connection"])
    retransmits = CounterMetricFamily("bridge_connection_retransmits", "TCP retransmissions.", labels=["connection"])
    waiting = GaugeMetricFamily("bridge_connection_queue_bytes", "Bytes that wait for TCP.", labels=["connection"])
    for one in connections:
        slot = str(one["connection"])
        for flow, family in flows.items():
            for way, label in _ways.items():
                family.add_metric([slot, label], one[way][flow])
        waiting.add_metric([slot], one["queueBytes"])
        if "tcp" in one:
            rtt.add_metric([slot], one["tcp"]["rtt"] / 1000)
            retransmits.add_metric([slot], one["tcp"]["retransmits"])
    yield from flows.values()
    yield rtt
    yield retransmits
    yield waiting
