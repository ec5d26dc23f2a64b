"""Health of a service: live, ready, and the state of each thing it depends on.

``live`` is false only where a restart would help; ``ready`` where the service cannot do its work now.  A check
that is not required is shown and changes neither: a node whose chain is down still carries its peers.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Probe = Callable[[], str | None]
"""Returns a detail to show, or None; raises where the dependency is not well."""


@dataclass(frozen=True)
class Check:
    """One dependency."""

    name: str
    probe: Probe
    required: bool = True
    live: bool = False  # failing means: restart me


class Health:
    """The checks of one service; each is run anew for every report, so probes should take milliseconds."""

    def __init__(self, checks: list[Check]) -> None:
        self._checks = checks

    def report(self) -> tuple[int, dict[str, Any]]:
        """HTTP status (200 when live and ready, else 503) and {status, live, ready, checks}."""
        live = ready = well = True
        shown: dict[str, Any] = {}
        for check in self._checks:
            try:
                detail = check.probe()
            except Exception as error:  # noqa: BLE001 - whatever a probe raises is the finding, and is shown
                well = False
                ready = ready and not check.required
                live = live and not check.live
                shown[check.name] = {
                    "ok": False,
                    "required": check.required,
                    "detail": str(error) or type(error).__name__,
                }
            else:
                shown[check.name] = {"ok": True, "required": check.required, "detail": detail}
        working = live and ready
        status = "ok" if well else "degraded" if working else "failing"
        return (200 if working else 503), {"status": status, "live": live, "ready": ready, "checks": shown}

    def one(self, name: str) -> tuple[int, dict[str, Any]] | None:
        """HTTP status (503 where it fails, required or not) and report of one check; None where there is none such."""
        for check in self._checks:
            if check.name == name:
                shown = Health([check]).report()[1]["checks"][name]
                return (200 if shown["ok"] else 503), shown
        return None

    def failing(self) -> dict[str, str]:
        """Name -> what is wrong, of each check that fails now."""
        checks = self.report()[1]["checks"]
        return {name: str(check["detail"]) for name, check in checks.items() if not check["ok"]}
