"""JSON log lines on standard output, with a correlation id, and never a secret.

One line per event: ``timestamp`` (UTC, ISO 8601), ``level``, ``service``, ``event``, and what the caller
binds.  Whatever is bound with :func:`correlate` (``correlation_id``) is on every line of that request or job.
Records of libraries that use :mod:`logging` come out in the same form.
"""

from __future__ import annotations

import logging
import re
import sys
import uuid
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from typing import Any, Final, cast, get_args

import structlog
from pydantic import SecretBytes, SecretStr

from berth.kit.settings import LogLevel

_order: Final = get_args(LogLevel)
redacted: Final = "[redacted]"
_secret_name: Final = re.compile(
    r"(^|_)(secret|password|passphrase|token|authorization|cookie)$|private_?key|preshared", re.I
)
_sane_id: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


def configure(service: str, level: LogLevel = "info", levels: Mapping[str, LogLevel] | None = None) -> None:
    """Set up logging for this process; call once, first thing.  ``levels``: those of single components."""
    lowest = min((level, *(levels or {}).values()), key=_order.index)
    shared: list[structlog.types.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _stamp(service),
        structlog.processors.format_exc_info,
        _redact,
    ]
    structlog.configure(
        processors=[
            *shared[:2],
            _at_least(level, levels or {}),
            *shared[2:],
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(lowest),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
            foreign_pre_chain=shared,
        )
    )
    # Libraries' records have no component; ours are dictionaries by now.
    handler.addFilter(
        lambda record: isinstance(record.msg, dict) or record.levelname.lower() in _order[_order.index(level) :]
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(lowest.upper())


def get_logger(component: str) -> structlog.typing.FilteringBoundLogger:
    """A logger whose lines carry ``component``."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger(component=component)
    return logger


@contextmanager
def correlate(given: str | None = None) -> Iterator[str]:
    """Put a correlation id on every line logged inside: the given one where it is sane, else a new one."""
    identifier = given if given and _sane_id.fullmatch(given) else uuid.uuid4().hex
    with structlog.contextvars.bound_contextvars(correlation_id=identifier):
        yield identifier


def _at_least(level: LogLevel, levels: Mapping[str, LogLevel]) -> structlog.types.Processor:
    """Drops what is below the level of its component."""

    def drop(_: Any, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        wanted = levels.get(str(event.get("component", "")), level)
        if method in _order and _order.index(cast(LogLevel, method)) < _order.index(wanted):
            raise structlog.DropEvent
        return event

    return drop


def _stamp(service: str) -> structlog.types.Processor:
    def stamp(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event["service"] = service
        return event

    return stamp


def _redact(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        event[key] = _clean(key, value)
    return event


def _clean(key: str, value: Any) -> Any:
    if isinstance(value, SecretStr | SecretBytes) or (_secret_name.search(key) and value):
        return redacted
    if isinstance(value, dict):
        return {k: _clean(str(k), v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_clean("", v) for v in value]
    return value
