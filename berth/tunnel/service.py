"""Puts a bridge together from its settings, and runs it."""

from __future__ import annotations

import os
import signal
from contextlib import ExitStack
from typing import Any

from fastapi import FastAPI

from berth.kit import logging, metrics, serve
from berth.kit.health import Check, Health
from berth.kit.problem import Problem
from berth.kit.serve import make_app
from berth.tunnel.control import Control
from berth.tunnel.endpoints import EndpointList, named, registry_of
from berth.tunnel.errors import TunnelError
from berth.tunnel.metrics import BridgeCollector
from berth.tunnel.node import NodeWatch
from berth.tunnel.program import Program, command
from berth.tunnel.settings import BridgeSettings, parts


def serve_bridge(settings: BridgeSettings) -> None:
    """Run a bridge until SIGTERM or SIGINT.  Errors: OSError, ProgramKeepsEnding."""
    log = logging.get_logger("bridge")
    control = Control(settings.control_socket)
    # Ends the server below, which then ends this process in order.
    program = Program(command(settings), lambda: os.kill(os.getpid(), signal.SIGTERM))
    with ExitStack() as ending:
        listener = serve.listen(settings.port)
        program.start()
        ending.callback(program.stop)
        checks = [Check("program", program.check, live=True)]
        if settings.bridge_end == "tcp2udp":
            checks.append(Check("target", lambda: _target(control)))
            if settings.node_url:
                node = NodeWatch(settings.node_url, control)
                node.start()
                ending.callback(node.stop)
                checks.append(Check("node", node.check))
        else:
            checks.append(Check("endpoints", lambda: _endpoints(control)))
            if not settings.endpoints_file:
                preferred = parts(settings.prefer_nodes)
                listed = EndpointList(
                    control, named(settings), registry_of(settings), preferred, settings.registry_interval
                )
                listed.start()
                ending.callback(listed.stop)
                checks.append(Check("list", listed.check, required=False))
        log.info("bridge is serving", end=settings.bridge_end, node=settings.node_id or None, port=settings.port)
        try:
            serve.run(build(settings, Health(checks), control, program), [listener])
        except SystemExit:
            if program.failed is not None:
                raise program.failed from None
            raise
        finally:
            log.info("bridge is stopping")


def build(settings: BridgeSettings, health: Health, control: Control, program: Program) -> FastAPI:
    """The bridge's app: /health, /stats and /metrics."""
    registry = metrics.registry()
    registry.register(BridgeCollector(control.stats, lambda: program.starts))
    app = make_app("berth TCP bridge", health, registry)

    @app.get("/stats")
    def show_stats() -> dict[str, Any]:
        try:
            return {"node": settings.node_id, **control.stats(), "programStarts": program.starts}
        except TunnelError as error:
            raise Problem(503, str(error)) from None

    return app


def _target(control: Control) -> str:
    target = control.stats()["target"]
    if not target["resolved"]:
        raise RuntimeError(
            f"{target['name']} cannot be forwarded to: {target.get('fault') or 'it is not resolved yet'}"
        )
    return str(target["name"])


def _endpoints(control: Control) -> str:
    endpoints = control.stats().get("endpoints") or []
    well = sum(1 for one in endpoints if one["well"] or one["active"])
    if not well:
        raise RuntimeError(f"none of {len(endpoints)} endpoints is known to work")
    return f"{well} of {len(endpoints)} work"
