"""Metrics for Prometheus: a registry per service, and its text form."""

from __future__ import annotations

from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client import generate_latest as _generate


def registry() -> CollectorRegistry:
    """A registry with the process's own figures (memory, CPU, descriptors); one per service, none shared."""
    made = CollectorRegistry()
    ProcessCollector(registry=made)
    PlatformCollector(registry=made)
    GCCollector(registry=made)
    return made


def render(of: CollectorRegistry) -> tuple[bytes, str]:
    """The exposition text and its content type."""
    return _generate(of), CONTENT_TYPE_LATEST
