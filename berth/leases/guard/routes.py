"""Every call that there is: method, path, query, and for whom.  What is not in this table is refused."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from berth.leases.guard.containers import told_at
from berth.leases.guard.errors import Refused
from berth.leases.guard.policy import GuardPolicy, Role, lease_label, stack_label
from berth.leases.guard.strict import decode, encode

_both: Final = frozenset(Role)
_manager: Final = frozenset({Role.manager})

_path: Final = re.compile(r"/[A-Za-z0-9_.:@/-]{1,512}")
_version: Final = re.compile(r"/v1\.(\d{1,2})(?=/)")
_reference: Final = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}"
_oldest, _newest = 40, 60

_flag: Final = r"(true|false|True|False|1|0)"
_count: Final = r"\d{1,9}"
_time: Final = r"\d{1,12}(\.\d{1,9})?"
_json: Final = r"[\s\S]{1,4096}"


class Deed(Enum):
    """What the guard has to do about a call before it passes it on."""

    plain = auto()
    image = auto()
    pull = auto()
    listing = auto()
    create = auto()
    container = auto()
    rename = auto()
    upload = auto()
    attach = auto()
    network = auto()
    network_create = auto()
    network_join = auto()
    network_leave = auto()


@dataclass(frozen=True)
class Route:
    """``path`` has ``{id}`` where an id or a name stands; ``query``: key -> what its value may be."""

    methods: tuple[str, ...]
    path: str
    deed: Deed
    query: Mapping[str, str] = field(default_factory=dict)
    roles: frozenset[Role] = _manager
    filters: tuple[str, ...] = ()

    def match(self, path: str) -> str | None:
        """What stands for ``{id}`` or ``{image}`` (empty where the path has none); None for another path."""
        pattern = re.escape(self.path).replace(r"\{id\}", f"({_reference})")
        found = re.fullmatch(pattern.replace(r"\{image\}", "(.+)"), path)
        return None if found is None else next(iter(found.groups()), "")


@dataclass(frozen=True)
class Call:
    """A call that is in the table, with its query as it is passed on."""

    method: str
    version: str
    route: Route
    reference: str
    query: Mapping[str, str]

    def target(self, reference: str = "") -> str:
        """The request target, with the id that the reference was resolved to."""
        path = self.route.path.replace("{id}", reference).replace("{image}", reference)
        return f"{self.version}{path}" + (f"?{urlencode(self.query)}" if self.query else "")


_list_filters: Final = ("label", "name", "status", "id", "health", "network", "exited")
_event_filters: Final = ("label", "type", "event", "container")
_logs: Final = dict.fromkeys(("follow", "stdout", "stderr", "timestamps", "details"), _flag) | {
    "since": _time,
    "until": _time,
    "tail": r"(all|\d{1,9})",
}
_signal: Final = {"signal": r"(SIG)?[A-Z0-9+]{1,10}|\d{1,2}"}
_seconds: Final = {"t": r"\d{1,3}"}

routes: Final = (
    Route(("GET", "HEAD"), "/_ping", Deed.plain, roles=_both),
    Route(("GET",), "/version", Deed.plain, roles=_both),
    Route(("GET",), "/images/{image}/json", Deed.image),
    Route(("POST",), "/images/create", Deed.pull, {"fromImage": r"[^\s]{1,256}", "tag": r"[\w.:@-]{1,140}"}),
    Route(
        ("GET",), "/containers/json", Deed.listing, {"all": _flag, "limit": _count, "size": _flag, "filters": _json},
        _both, _list_filters,
    ),
    Route(
        ("GET",), "/events", Deed.listing, {"since": _time, "until": _time, "filters": _json}, _both, _event_filters
    ),
    Route(("POST",), "/containers/create", Deed.create, {"name": _reference}),
    Route(("GET",), "/containers/{id}/json", Deed.container, {"size": _flag}, _both),
    Route(("GET",), "/containers/{id}/logs", Deed.container, _logs),
    Route(("GET",), "/containers/{id}/stats", Deed.container, {"stream": _flag, "one-shot": _flag}),
    # Without ps_args: Docker gives them to a ps of the host.
    Route(("GET",), "/containers/{id}/top", Deed.container),
    Route(("POST",), "/containers/{id}/start", Deed.container),
    Route(("POST",), "/containers/{id}/stop", Deed.container, _seconds | _signal, _both),
    Route(("POST",), "/containers/{id}/kill", Deed.container, _signal, _both),
    Route(("POST",), "/containers/{id}/restart", Deed.container, _seconds | _signal),
    Route(("POST",), "/containers/{id}/pause", Deed.container),
    Route(("POST",), "/containers/{id}/unpause", Deed.container, roles=_both),
    Route(("POST",), "/containers/{id}/wait", Deed.container, {"condition": r"not-running|next-exit|removed"}, _both),
    Route(("POST",), "/containers/{id}/rename", Deed.rename, {"name": _reference}),
    Route(
        ("POST",), "/containers/{id}/attach", Deed.attach,
        dict.fromkeys(("stream", "stdout", "stderr", "logs"), _flag) | {"stdin": r"(false|False|0)"},
    ),
    Route(
        ("PUT",), "/containers/{id}/archive", Deed.upload,
        {"path": re.escape(told_at), "noOverwriteDirNonDir": _flag},
    ),
    Route(("DELETE",), "/containers/{id}", Deed.container, {"v": _flag, "force": _flag}, _both),
    Route(("GET",), "/networks", Deed.listing, {"filters": _json}, _both, ("label", "name", "id")),
    Route(("POST",), "/networks/create", Deed.network_create),
    Route(("GET",), "/networks/{id}", Deed.network, roles=_both),
    Route(("DELETE",), "/networks/{id}", Deed.network, roles=_both),
    Route(("POST",), "/networks/{id}/connect", Deed.network_join),
    Route(("POST",), "/networks/{id}/disconnect", Deed.network_leave, roles=_both),
)  # fmt: skip

# Read in this order: a listing is no container that is called json.
_fixed: Final = tuple(route for route in routes if "{" not in route.path)
_open: Final = tuple(route for route in routes if "{" in route.path)


def find(policy: GuardPolicy, method: str, target: str) -> Call:
    """The call that a request line asks for, with filters narrowed to this stack's leases.

    Errors: :class:`Refused` when it is in no row of the table, or in none for this role.
    """
    written, mark, question = target.partition("?")
    # Nothing that another reader could understand otherwise: no escapes, empty or dotted segments.
    if not _path.fullmatch(written) or any(part in ("", ".", "..") for part in written[1:].split("/")):
        raise Refused("route", "the path is not plainly written: escapes, empty and dotted parts are not taken", 400)
    version = _version.match(written)
    path = written[version.end() :] if version else written
    if version and not _oldest <= int(version[1]) <= _newest:
        raise Refused("route", f"version 1.{version[1]} of the API is not spoken here", 400)
    for route in (*_fixed, *_open):
        reference = route.match(path)
        if reference is None or method not in route.methods:
            continue
        if policy.role not in route.roles:
            raise Refused("route", f"{method} {route.path} is not for the {policy.role}")
        query = _query(policy, route, question if mark else "")
        return Call(method, version[0] if version else "", route, reference, query)
    raise Refused("route", f"{method} {path[:200]} is not among the calls that leases need")


def _query(policy: GuardPolicy, route: Route, question: str) -> dict[str, str]:
    made: dict[str, str] = {}
    try:
        pairs = parse_qsl(question, keep_blank_values=True, strict_parsing=True, max_num_fields=16) if question else []
    except ValueError:
        raise Refused("query", "the query cannot be read", 400) from None
    if ";" in question or "\0" in question:
        raise Refused("query", "the query cannot be read", 400)
    for key, value in pairs:
        if key in made:
            raise Refused("query", f"the parameter {key[:80]!r} is there twice")
        if key not in route.query:
            raise Refused("query", f"{route.path} takes no parameter {key[:80]!r} here")
        if not re.fullmatch(route.query[key], value):
            raise Refused("query", f"the parameter {key} of {route.path} is not of an allowed form")
        made[key] = value
    if route.filters:
        made["filters"] = _narrow(policy, route, made.get("filters", "{}"))
    return made


def _narrow(policy: GuardPolicy, route: Route, written: str) -> str:
    """The filters, with this stack's labels among them: Docker shows what satisfies all."""
    try:
        given = decode(written.encode())
    except Refused as refused:
        raise Refused("query", f"filters: {refused.reason}", 400) from None
    if not isinstance(given, dict):
        raise Refused("query", "filters must be an object", 400)
    made: dict[str, list[str]] = {}
    for key, values in given.items():
        # An older form is {value: true}.
        values = [value for value, on in values.items() if on is True] if isinstance(values, dict) else values
        if key not in route.filters or not isinstance(values, list) or not all(_plain(value) for value in values):
            raise Refused("query", f"filters: {key[:80]!r} is not allowed here")
        made[key] = values
    made["label"] = [*made.get("label", []), f"{stack_label}={policy.stack}", lease_label]
    return encode(made).decode()


def _plain(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 256
