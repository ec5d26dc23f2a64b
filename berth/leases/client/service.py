"""Leases through the gateway, for one caller.  Bodies are as ``berth/leases/api/models.py`` shows them (camelCase)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from berth.kit.client import ApiRefused, JsonApi, WrongUsage

_answers_within: Final = 45.0  # seconds: the manager waits for Docker
_tries: Final = 3
_page: Final = 200


@dataclass(frozen=True)
class Caller:
    """Who asks: a token (an API token, or a session's of the access API), or a name where the stack asks for none."""

    username: str = ""
    token: str = field(default="", repr=False)

    @property
    def headers(self) -> dict[str, str]:
        """What says so; the token counts before the name."""
        if self.token:
            return {"Authorization": f"Bearer {self.token}"}
        return {"X-Berth-User": self.username} if self.username else {}


class LeaseService(JsonApi):
    """The lease API at ``url`` (the gateway's); a context manager.

    Errors: Unreachable, ApiRefused with the API's ``reason``.  What makes something is sent again under the same
    idempotency key where no answer came, so that it is made once.
    """

    def __init__(self, url: str, caller: Caller | None = None) -> None:
        super().__init__(url, "the lease API", answers_within=_answers_within)
        self.caller = caller or Caller()
        self._http.headers.update(self.caller.headers)

    def scenarios(self) -> dict[str, Any]:
        """What can be leased, and who may."""
        return self.call("GET", "/api/scenarios")

    def me(self) -> dict[str, Any]:
        """Who the caller is, and what they may still lease."""
        return self.call("GET", "/api/users/me")

    def register(self, username: str) -> dict[str, Any]:
        """A user and their token, which is told this once."""
        return self._make("/api/users", {"username": username}, None)

    def create(
        self,
        scenario: str,
        minutes: int | None = None,
        *,
        exposure: str | None = None,
        token: str | None = None,
        initial_tokens: int | None = None,
        key: str | None = None,
        wait: float = 0.0,
    ) -> dict[str, Any]:
        """A lease; ``wait`` seconds (at most 30) until it runs, ``token`` the pass whose tunnel reaches it."""
        asked = {
            "imageType": scenario,
            "durationMinutes": minutes,
            "exposure": exposure,
            "pass": token,
            "initialTokens": initial_tokens,
        }
        body = {name: value for name, value in asked.items() if value is not None}
        return self._make(f"/api/provision?wait={wait:g}", body, key)

    def leases(
        self, *, everyone: bool = False, ended: bool = False, username: str | None = None, resources: bool = True
    ) -> list[dict[str, Any]]:
        """All leases of the caller, the newest first; ``everyone``'s and another user's for operators."""
        query: dict[str, Any] = {"limit": _page, "all": everyone, "ended": ended, "resources": resources}
        if username:
            query["username"] = username
        found: list[dict[str, Any]] = []
        while True:
            page = self.call("GET", "/api/containers", query=query)
            found += page["containers"]
            if not page.get("next"):
                return found
            query["cursor"] = page["next"]

    def find(self, name: str) -> dict[str, Any]:
        """The lease of this id or name, one that runs before one that ended; ApiRefused (404) where there is none."""
        try:
            return self.call("GET", f"/api/containers/{_part(name)}")
        except ApiRefused as refused:
            if refused.status not in (404, 422):
                raise
            named = [one for one in self.leases(ended=True, resources=False) if one["name"] == name]
            running = [one for one in named if one["phase"] != "gone"]
            if not named:
                raise ApiRefused(
                    f"there is no lease {name}: `berth lease ls --ended` shows those there are", 404, "not-found"
                ) from None
            return (running or named)[0]

    def show(self, identifier: str) -> dict[str, Any]:
        """One lease."""
        return self.call("GET", f"/api/containers/{_part(identifier)}")

    def extend(self, identifier: str, minutes: int, key: str | None = None) -> dict[str, Any]:
        """More time."""
        return self._make(f"/api/containers/{_part(identifier)}/extend", {"minutes": minutes}, key)

    def pause(self, identifier: str) -> dict[str, Any]:
        """Stops its processes where they are; its remaining time stays."""
        return self.call("POST", f"/api/containers/{_part(identifier)}/pause", tries=_tries)

    def resume(self, identifier: str) -> dict[str, Any]:
        """Goes on where it was paused."""
        return self.call("POST", f"/api/containers/{_part(identifier)}/resume", tries=_tries)

    def remove(self, identifier: str, wait: float = 0.0) -> None:
        """Ends it; ``wait`` seconds (at most 30) until it is gone."""
        self.call("DELETE", f"/api/containers/{_part(identifier)}?wait={wait:g}", tries=_tries)

    def session(self, identifier: str) -> dict[str, Any]:
        """A way in through the gateway: ``url`` for a browser, ``token`` for programs (X-Berth-Session)."""
        return self.call("POST", f"/api/containers/{_part(identifier)}/session")

    def log(self, identifier: str, role: str = "", after: str = "") -> Iterator[dict[str, Any]]:
        """What it has written so far, from after a cursor on."""
        query: dict[str, Any] = {"limit": _page}
        if role:
            query["role"] = role
        while True:
            if after:
                query["after"] = after
            page = self.call("GET", f"/api/containers/{_part(identifier)}/logs", query=query)
            yield from page["lines"]
            # A page that goes nowhere would be asked for without end.
            if not page["more"] or page["cursor"] == after:
                return
            after = page["cursor"]

    def _make(self, path: str, body: Mapping[str, Any], key: str | None) -> dict[str, Any]:
        return self.call("POST", path, body, headers={"Idempotency-Key": key or str(uuid.uuid4())}, tries=_tries)


def _part(text: str) -> str:
    """One segment of a path: what is no name or id of a lease cannot become another path."""
    if not text or not all(c.isascii() and (c.isalnum() or c == "-") for c in text):
        raise WrongUsage(f"{text!r} is neither a name nor an id of a lease")
    return text
